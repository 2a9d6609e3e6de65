"""The proof: real processes under fire, judged by the simulators' own ledger."""
