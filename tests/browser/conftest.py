"""A browser before the running service: Debian's chromium, driven by playwright; without chromium these are skipped."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Request, sync_playwright

from api.app import create_app
from api.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the service on a free port, with a data directory of its own."""
    app = create_app(Settings(data=tmp_path_factory.mktemp("data")))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start chromium; as root it runs without its sandbox, as in a container."""
    if CHROMIUM is None:
        pytest.skip("no chromium; .ci/run installs it")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


class Watched:
    """A page that is watched: what it asks of other hosts, and what it reports as wrong."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.foreign: list[str] = []
        self.wrong: list[str] = []

        def asked(request: Request) -> None:
            if not request.url.startswith((f"{origin}/", "data:", "blob:")):
                self.foreign.append(request.url)

        page.on("request", asked)
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def page(browser: Browser, service: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open a page at the width of a desktop and of a phone; nothing leaves the origin and nothing goes wrong in it."""
    width, height = request.param
    context = browser.new_context(base_url=service, viewport={"width": width, "height": height})
    watched = Watched(context.new_page(), service)
    yield watched.page
    context.close()
    assert watched.foreign == [] and watched.wrong == []


@pytest.fixture
def axe() -> str:
    """Return axe-core, which finds what a page lacks for those who do not see it or use no mouse."""
    return (Path(__file__).parent / "axe.min.js").read_text("utf-8")
