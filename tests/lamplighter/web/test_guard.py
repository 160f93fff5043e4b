"""What stands before every page: each way in that is none is tried, and refused."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from conftest import cannot_run
from lamplighter.desk.rehearsal import OFFICER, REVIEWERS
from lamplighter.web.entrance import inside
from lamplighter.web.guard import HEADERS
from pipeline.case.request import Request
from web_fixtures import AUDITOR, LEGAL, OPERATOR, Village, copied, served

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def place(village_kept: tuple[Path, Request], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    folder = copied(village_kept[0], tmp_path_factory.mktemp("guard"))
    with served(folder, village_kept[1], body_bytes=100_000, body_s=1.0) as found:
        yield found


def raw(place: Village, request: bytes, *, wait_s: float = 20) -> bytes:
    """Send bytes as they are, and return what comes until the connection ends."""
    port = urlsplit(place.url).port
    with socket.create_connection(("localhost", port or 0), timeout=wait_s) as line:
        line.sendall(request)
        found = b""
        while part := line.recv(65_536):
            found += part
    return found


def host(place: Village) -> bytes:
    return place.url.partition("//")[2].encode()


def test_a_session_that_somebody_planted_is_never_taken_up(place: Village) -> None:
    with httpx2.Client(base_url=place.url, cookies={"session": "planted"}) as client:
        secret = place.desk.make_link(OFFICER)
        told = client.post(f"/enter/{secret}")
        fresh = told.cookies["session"]
        assert fresh != "planted"
    assert httpx2.get(f"{place.url}/me", cookies={"session": "planted"}).status_code == 303
    assert httpx2.get(f"{place.url}/me", cookies={"session": fresh}).status_code == 200


def test_a_session_ends_for_good_with_signing_out_and_everywhere(place: Village) -> None:
    one, other = place.session(OFFICER), place.session(OFFICER)
    told = httpx2.post(f"{place.url}/sign-out", cookies={"session": one})
    assert "cookies" in told.headers["clear-site-data"]
    assert httpx2.get(f"{place.url}/me", cookies={"session": one}).status_code == 303
    assert httpx2.get(f"{place.url}/me", cookies={"session": other}).status_code == 200
    place.desk.sign_out_everywhere(OFFICER)
    assert httpx2.get(f"{place.url}/me", cookies={"session": other}).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "CROSS-SITE", "Origin": "http://localhost"},
    ],
    ids=lambda headers: "-".join(headers.values()),
)
def test_a_form_of_another_site_is_refused(place: Village, headers: dict[str, str]) -> None:
    cookies = place.cookies(REVIEWERS[0])
    path = f"/review/requests/{place.request.id}/hold"
    assert httpx2.post(place.url + path, headers=headers, cookies=cookies).status_code == 403
    assert not place.desk.standing(place.request).life.held


def test_every_answer_says_what_browsers_need_also_a_refusal(place: Village) -> None:
    paths = [
        "/sign-in",
        "/nothing",
        "/static/x/lamp.svg",
        "/public",
        "/enter/x",
        "/owner",
        "/public/figures/index.html",
    ]
    answers = [httpx2.get(place.url + path) for path in paths]
    answers.append(httpx2.post(f"{place.url}/sign-out", headers={"Sec-Fetch-Site": "cross-site"}))
    answers.append(httpx2.get(place.url, headers={"Host": "evil.example"}))
    for answer in answers:
        for name, value in HEADERS.items():
            told = answer.headers[name]
            assert told == value or (name == "Content-Security-Policy" and "default-src 'none'" in told)
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


@pytest.mark.parametrize("name", ["evil.example", "localhost", "localhost:1", "", "localhost:80@evil.example"])
def test_another_hosts_name_is_not_answered(place: Village, name: str) -> None:
    found = raw(place, b"GET /sign-in HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % name.encode())
    assert found.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


@pytest.mark.parametrize(
    "path",
    [
        *("../guard.py", "..%2fguard.py", "%2e%2e/guard.py", "....//guard.py", "/etc/passwd", "//etc/passwd"),
        *("vendor/../../guard.py", "vendor/..%5c..%5cguard.py", "lamp.svg%00.css", "templates/base.html", "."),
    ],
)
def test_no_path_leads_out_of_the_static_files(place: Village, path: str) -> None:
    page = httpx2.get(f"{place.url}/sign-in").text
    folder = re.search(r"/static/[0-9a-f]+/", page)
    assert folder is not None
    assert httpx2.get(f"{place.url}{folder[0]}lamp.svg").status_code == 200
    told = raw(
        place, f"GET {folder[0]}{path} HTTP/1.1\r\nHost: {host(place).decode()}\r\nConnection: close\r\n\r\n".encode()
    )
    assert told.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert b"class Guard" not in told
    assert b"root:" not in told


@pytest.mark.parametrize(
    "path",
    [
        *("//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"),
        *("/%09/evil.example\t", "/\t/evil.example", "evil.example", "", "/ok\r\nX: y", "/\u202eevil"),
    ],
)
def test_nobody_is_led_to_another_site(place: Village, path: str) -> None:
    assert inside(path) == "/" or urlsplit(inside(path)).netloc == ""
    told = httpx2.post(f"{place.url}/language", data={"language": "de", "next": path})
    assert urlsplit(told.headers["location"]).netloc in {"", urlsplit(place.url).netloc}
    assert told.headers["location"].startswith("/")
    assert not told.headers["location"].startswith(("//", "/\\"))
    assert "x" not in told.headers


def test_a_long_body_is_refused_whether_it_says_its_length_or_not(place: Village) -> None:
    long = {"mail": "x" * 200_000}
    assert httpx2.post(f"{place.url}/sign-in", data=long).status_code == 413

    def parts() -> Iterator[bytes]:
        for _ in range(30):
            yield b"mail=" + b"x" * 10_000

    head = {"Content-Type": "application/x-www-form-urlencoded"}
    assert httpx2.post(f"{place.url}/sign-in", content=parts(), headers=head).status_code == 413
    for length in (b"-1", b"x", b"1e3", b"99999999999999999999"):
        found = raw(
            place,
            b"POST /sign-in HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %s\r\n\r\n"
            % (host(place), length),
        )
        assert re.match(rb"HTTP/1.1 4(00|13)", found)


def test_a_slow_body_is_ended_and_holds_up_nobody(place: Village) -> None:
    head = b"POST /sign-in HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n" % host(place)
    lines = []
    for _ in range(60):  # more than there are threads
        line = socket.create_connection(("localhost", urlsplit(place.url).port or 0), timeout=20)
        line.sendall(head + b"Content-Length: 50\r\n\r\nmail=")
        lines.append(line)
    try:
        assert httpx2.get(f"{place.url}/sign-in", timeout=20).status_code == 200
        answers = [line.recv(1000) for line in lines]
    finally:
        for line in lines:
            line.close()
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers)


def test_the_language_and_names_put_no_header_of_their_own(place: Village) -> None:
    told = httpx2.post(f"{place.url}/language", data={"language": "de\r\nSet-Cookie: a=b", "next": "/"})
    assert "set-cookie" not in told.headers
    told = httpx2.get(f"{place.url}/sign-in?next=/%0d%0aSet-Cookie:%20a=b")
    assert "set-cookie" not in told.headers


ROUTES = {
    "/operator": OPERATOR,
    "/owner": "owner",
    "/officer": OFFICER,
    "/review": REVIEWERS[0],
    "/review/posts": REVIEWERS[0],
    "/audit": AUDITOR,
}


def test_a_page_of_another_role_is_told_as_one_that_is_not_there(place: Village) -> None:
    people = {who: place.asked[0] if who == "owner" else who for who in (*ROUTES.values(), LEGAL)}
    for who, person in people.items():
        cookies = place.cookies(person)
        none = httpx2.get(f"{place.url}/nothing-here", cookies=cookies)
        for path, whose in ROUTES.items():
            if whose == who or (path == "/review" and who == LEGAL):
                continue
            told = httpx2.get(place.url + path, cookies=cookies)
            assert told.status_code == none.status_code == 404, (who, path)
            assert told.text.replace(path, "") == none.text.replace("/nothing-here", ""), (who, path)


@pytest.fixture
def proxy(place: Village, tmp_path: Path) -> Iterator[str]:
    """A shared proxy before the pages that keeps whatever it may, nginx."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        cannot_run("no nginx: `make proxy`")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "logs").mkdir()
    (tmp_path / "nginx.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""} daemon off; pid {tmp_path}/pid;
error_log {tmp_path}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;
  uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
  proxy_cache_path {tmp_path}/kept keys_zone=kept:1m;
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass {place.url.replace("localhost", "127.0.0.1")}; proxy_set_header Host {host(place).decode()};
    proxy_cache kept;
    add_header X-Kept $upstream_cache_status always; }} }} }}
""")
    with subprocess.Popen([program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], stderr=-3) as running:
        try:
            for _ in range(100):
                with socket.socket() as line:
                    if line.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(20)


def test_a_shared_cache_gives_nobody_the_page_of_another(place: Village, proxy: str) -> None:
    one, other = place.cookies(REVIEWERS[0]), place.cookies(AUDITOR)
    first = httpx2.get(f"{proxy}/me", cookies=one)
    second = httpx2.get(f"{proxy}/me", cookies=other)
    nobody = httpx2.get(f"{proxy}/me")
    assert REVIEWERS[0] in first.text
    assert AUDITOR in second.text
    assert REVIEWERS[0] not in second.text
    assert nobody.status_code == 303
    style = re.search(r"/static/[^\"]+\.css", first.text)
    assert style is not None
    kept = [httpx2.get(proxy + style[0]).headers["x-kept"] for _ in range(3)]
    assert kept[-1] == "HIT", "it does keep what is the same for everybody"
    assert "session" not in httpx2.get(proxy + style[0]).headers.get("set-cookie", "")
