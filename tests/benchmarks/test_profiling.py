"""What a profile says was spent on what."""

from benchmarks.profiling import shares, shown

START = "<module> (zaptrix/__main__.py:5);worker (zaptrix/cli/main.py:72);Runner.run (asyncio/runners.py:118)"
SENDS = (
    f"{START};Calls.run (zaptrix/bridge/deliver/calls.py:99);_request (aiohttp/client.py:500);loads (json/decoder.py:3)"
)
CLAIMS = f"{START};claim (zaptrix/store/ledger/claims.py:40)"


def test_a_sample_counts_for_the_innermost_part_that_we_name() -> None:
    spent = shares([f"{SENDS} 5", f"{CLAIMS} 3", f"{START} 2"])
    assert spent == {"aiohttp": 0.5, "zaptrix/store": 0.3, "event loop": 0.2}
    assert shown("worker-1", spent) == "   worker-1: aiohttp 50 %, zaptrix/store 30 %, event loop 20 %"
