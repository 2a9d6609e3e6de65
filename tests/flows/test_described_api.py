"""The description is true for those who build on it: its examples are taken, clients made from it compile and work."""

import asyncio
import compileall
import importlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from proof.world import Tenant, World, eventually
from zaptrix.web.api.send import examples

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]
WHO = "+55 41 98888-7777"
TYPESCRIPT = Path(__file__).parent / "typescript"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenant(shared_world: World) -> Tenant:
    """With a customer who has written."""
    tenant = await shared_world.tenant(own_account=True)
    await tenant.opened()
    return tenant


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def description(shared_world: World) -> Json:
    async with shared_world.session.get(f"{shared_world.url}/openapi.json") as answer:
        told: Json = await answer.json()
        return told


# --- examples --------------------------------------------------------------------------------------------------------


def with_bodies(description: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in description["paths"].items():
        for method, operation in item.items():
            if "requestBody" in operation and not path.startswith("/webhooks"):
                yield method.upper(), path, operation


async def test_every_body_that_can_be_sent_has_an_example(description: Json) -> None:
    for _, path, operation in with_bodies(description):
        assert operation["requestBody"]["content"]["application/json"]["examples"], path


async def test_each_example_is_taken_when_it_is_sent(world: World, tenant: Tenant, description: Json) -> None:
    """As it stands, but for the caller's own ids, addresses and tokens."""
    own = await ids_of(tenant)
    strange = await world.control("POST", "portals", {"portal": "examples", "lines": [{"id": 1, "name": "Vendas"}]})
    number = await world.control(
        "POST", "numbers", {"phone_number_id": "210987654321098", "waba_id": "108866333444555"}
    )
    template = {"name": "lembrete_consulta", "phone_number_id": tenant.number, "status": "APPROVED"}
    for method, path, operation in with_bodies(description):
        content = operation["requestBody"]["content"]
        for example in content["application/json"]["examples"].values():
            body = filled(example["value"], own)
            if operation["operationId"] in {"createPortal", "changePortal"}:
                whose = strange if operation["operationId"] == "createPortal" else tenant.portal
                body |= {field: whose[field] for field in body if field in whose}
            if operation["operationId"] == "createChannel":
                body |= {"access_token": number["access_token"]}
            await world.api(method, filled(path, own), body)
        if operation["operationId"] == "createTemplate":
            await world.control("POST", "templates/change", template)
    await world.drained()


async def test_the_example_of_a_form_is_taken_with_a_file(world: World, tenant: Tenant, description: Json) -> None:
    own = await ids_of(tenant)
    files = {"sendImage": "photo.jpg", "sendVideo": "film.mp4", "sendDocument": "invoice.pdf", "sendAudio": "voice.ogg",
             "sendSticker": "sticker.webp"}  # fmt: skip
    sent = []
    for _, path, operation in with_bodies(description):
        form = operation["requestBody"]["content"].get("multipart/form-data")
        name = files.get(operation["operationId"])
        if form is None or name is None:
            continue
        parts = [f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
                 for field, value in filled(form["example"], own).items()]  # fmt: skip
        (file,) = [each for each in examples.example_files() if each.name == name]
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        data = b"".join([*parts, head, file.content, b"\r\n--b--\r\n"])
        headers = {"Authorization": f"Bearer {world.admin_key}", "Content-Type": "multipart/form-data; boundary=b"}
        async with world.session.post(f"{world.url}{path}", data=data, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        sent.append(operation["operationId"])
    assert sorted(sent) == sorted(files)
    await world.drained()


async def test_the_files_of_the_examples_are_given_and_no_others(world: World) -> None:
    for file in examples.example_files():
        async with world.session.get(f"{world.url}{examples.FILES_PATH}{file.name}") as answer:
            assert (answer.status, answer.content_type, await answer.read()) == (200, file.type, file.content)
    for link in (f"{world.url}/docs/files/../examples.py", f"{world.url}/docs/files/x.jpg", f"{world.url}/metrics",
                 "https://elsewhere.example/docs/files/photo.jpg", "/docs/files/photo.jpg", "photo.jpg"):  # fmt: skip
        assert examples.example_file(link, world.url) is None


async def ids_of(tenant: Tenant) -> dict[str, str]:
    """What stands for the examples' ids."""
    conversation = (await tenant.conversation())["id"]
    listed = await tenant.world.api("GET", f"/api/conversations/{conversation}/messages")
    message = next(each["id"] for each in reversed(listed["items"]) if each["direction"] == "inbound")
    return {
        examples.PORTAL_ID: str(tenant.portal_id),
        examples.CHANNEL_ID: str(tenant.channel_id),
        examples.CONVERSATION_ID: str(conversation),
        "{portal_id}": str(tenant.portal_id),
        "{channel_id}": str(tenant.channel_id),
        f": {examples.MESSAGE_ID},": f": {message},",
        f": {examples.MESSAGE_ID}}}": f": {message}}}",
        f"[{examples.MESSAGE_ID}]": f"[{message}]",
    }


def filled(told: Any, own: dict[str, str]) -> Any:
    text = json.dumps(told)
    for example, true in own.items():
        text = text.replace(example, true)
    return json.loads(text)


# --- clients that are made from it -----------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def described(description: Json, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("description") / "openapi.json"
    path.write_text(json.dumps(description))
    return path


@pytest_asyncio.fixture(loop_scope="module")
async def client_package(described: Path) -> AsyncIterator[ModuleType]:
    """What openapi-python-client makes of the description, without a word of complaint."""
    folder = described.parent / "zaptrix_client"
    config = Config.from_sources(
        config_file=ConfigFile(post_hooks=[]), meta_type=MetaType.NONE, document_source=described,
        file_encoding="utf-8", overwrite=True, output_path=folder,
    )  # fmt: skip
    assert [str(complaint) for complaint in await asyncio.to_thread(generate, config=config)] == []
    assert compileall.compile_dir(folder, quiet=1)
    sys.path.insert(0, str(folder.parent))
    yield importlib.import_module("zaptrix_client")
    sys.path.remove(str(folder.parent))


def operation_of(name: str) -> ModuleType:
    return importlib.import_module(f"zaptrix_client.api.{name}")


async def test_a_client_in_python_has_every_operation_and_drives_a_talk(
    world: World, tenant: Tenant, description: Json, client_package: ModuleType
) -> None:
    models = importlib.import_module("zaptrix_client.models")
    made = {path.stem.replace("_", "") for path in Path(str(client_package.__file__)).parent.rglob("api/*/*.py")}
    wanted = {op["operationId"].lower() for item in description["paths"].values() for op in item.values()}
    assert wanted <= made

    async with client_package.AuthenticatedClient(base_url=world.url, token=world.admin_key) as client:
        channels = await operation_of("channels.list_channels").asyncio(client=client, limit=200)
        (channel,) = [each for each in channels.items if each.id == tenant.channel_id]
        send = operation_of("messages.send_text").asyncio
        body = models.TextMessage(text="Do cliente gerado", channel_id=channel.id, to=WHO)
        queued = await send(client=client, body=body, idempotency_key="once")
        again = await send(client=client, body=body, idempotency_key="once")
        refused = await send(client=client, body=models.TextMessage(text="oi", channel_id=channel.id, to="x"))
        moved = await operation_of("dead_letters.dismiss_dead_letters").asyncio(
            client=client, body=models.Selection(ids=[queued.id])
        )

        async def delivered() -> bool:
            story = await operation_of("messages.get_message").asyncio(queued.id, client=client)
            return story.message.delivered_at is not None

        await eventually(delivered, 60, "the text to be delivered")
        talks = await operation_of("conversations.list_conversations").asyncio(client=client, channel_id=channel.id)

    assert again.id == queued.id
    assert (refused.status, refused.errors[0].field) == (422, "/to")
    assert (moved.count, moved.not_dead) == (0, [queued.id])
    assert [talk.id for talk in talks.items] == [queued.conversation_id]
    assert "Do cliente gerado" in [one["text"] for one in await tenant.on_phone()]


async def test_a_client_in_typescript_compiles_and_drives_a_talk(world: World, tenant: Tenant, described: Path) -> None:
    """Where node and npm are, with the packages of its lock; elsewhere this says so and is left out."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed: the TypeScript client is not made")
    folder = described.parent / "typescript"
    shutil.copytree(TYPESCRIPT, folder, ignore=shutil.ignore_patterns("node_modules"))
    code, told = await run(folder, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    if code:
        pytest.skip(f"npm ci failed, so the TypeScript client is not made: {told[-300:]}")
    bins = folder / "node_modules" / ".bin"
    strict = ("--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "--skipLibCheck")
    for command in (
        (str(bins / "openapi-typescript"), str(described), "-o", "api.d.ts"),
        (str(bins / "tsc"), *strict, "flow.ts"),
    ):
        code, told = await run(folder, *command)
        assert code == 0, told
    code, told = await run(folder, "node", "flow.js", world.url, world.admin_key, str(tenant.channel_id), WHO)
    assert code == 0, told
    assert "From TypeScript" in [one["text"] for one in await tenant.on_phone()]


async def run(folder: Path, *command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode()
