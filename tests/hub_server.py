"""A stand-in for the Hugging Face Hub on loopback: the requests that its client makes to push and pull, and faults.

    with hub_server() as hub:
        token = hub.add_user("ada", role="write", orgs={"lab": "read"})
        commit = hub.put_folder("ada/vit", "runs/laptop-vit", private=False)
        hub.fail("/resolve/", status=503, headers={"Retry-After": "1"}, times=2)
        assert hub.repos["ada/vit"].commits[-1].files["config.json"] == ...

The client talks to it in another process by `hub.environment(home, token)`, and in this one by `hub.use(monkeypatch,
home, token)`. Large and binary files travel by LFS. The names of Spaces begin with "spaces/",
those of data sets with "datasets/".
"""

import base64
import hashlib
import json
import re
import secrets
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import constants


class User(NamedTuple):
    """Who a token belongs to: `role` of the token is read or write; `orgs` maps organisations to the user's role."""

    name: str
    role: str = "write"
    orgs: dict = {}  # noqa: RUF012  never changed

    def may_write(self, namespace):
        return self.role != "read" and (namespace == self.name or self.orgs.get(namespace) == "write")

    def may_read(self, namespace):
        return namespace == self.name or namespace in self.orgs


class Commit(NamedTuple):
    """One commit: its 40-hex `oid`, all files after it as path -> bytes, and those of them in LFS."""

    oid: str
    files: dict
    lfs: frozenset


@dataclass
class Repo:
    """A repository; its branch `main` is at the last of its `commits`, of which the first has no files.

    `settings` are those of a Space: the "sdk", the "hardware", and its "variables" as name -> value.
    """

    name: str
    private: bool = False
    gated: bool = False
    settings: dict = field(default_factory=dict)
    commits: list = field(default_factory=list)

    @property
    def files(self):
        """The files on `main`, path -> bytes."""
        return self.commits[-1].files

    def commit(self, files, lfs=frozenset()):
        self.commits.append(Commit(secrets.token_hex(20), files, frozenset(lfs) & files.keys()))
        return self.commits[-1].oid

    def at(self, revision):
        """The commit of a revision, which is `main` or a 40-hex oid; None where there is none."""
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit.oid == revision), None)


class Request(NamedTuple):
    """A request that came; `path` is without the query."""

    method: str
    path: str


@dataclass
class _Fault:
    kind: str  # fail, cut, corrupt
    pattern: str
    method: str | None
    times: int | None
    value: object = None

    def strikes(self, kind, method, path):
        fits = self.kind == kind and self.method in (None, method) and re.search(self.pattern, path)
        return fits and self.times != 0


class Hub:
    """The state of the stand-in, to be read and changed by the test at any time.

    Attributes:
        url: where it listens, without a slash at the end.
        repos: name -> `Repo`.
        users: token -> `User`.
        requests: every `Request` so far, in order.
        objects: sha256 -> bytes, of LFS.

    A fault takes a regular expression that is searched for in the path of a request, how many `times` it strikes (None:
    every time, until `clear`), and optionally one `method`.
    """

    def __init__(self):
        self.url = None
        self.repos = {}
        self.users = {}
        self.requests = []
        self.objects = {}
        self._faults = []
        self._lock = threading.RLock()

    def environment(self, home, token=None):
        """The environment variables with which the genuine client, in another process, speaks to this server.

        Args:
            home: a folder of its own for the client's cache and token.
            token: one of `users`; None is nobody.
        """
        names = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": token or ""}
        return {**names, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": ""}

    def use(self, monkeypatch, home, token=None):
        """Let the genuine client in this process speak to this server, with `home` for its cache."""
        for name, value in {
            "ENDPOINT": self.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": self.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_DISABLE_XET": True,
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", token or "")

    def add_user(self, name, role="write", orgs=None):
        """Add a user; return the token."""
        token = f"hf_{secrets.token_hex(17)}"
        self.users[token] = User(name, role, orgs or {})
        return token

    def put_folder(self, name, folder, private=False, gated=False):
        """Commit the files directly in a folder as all that `name` holds; return the commit's oid."""
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
        return self.put_files(name, files, private, gated)

    def put_files(self, name, files, private=False, gated=False):
        """Commit files, path -> bytes, as all that `name` holds; return the commit's oid."""
        with self._lock:
            repo = self.repos.get(name) or self._create(name, private)
            repo.private, repo.gated = private, gated
            lfs = {path for path, content in files.items() if _is_lfs(content)}
            self.objects.update({_sha256(files[path]): files[path] for path in lfs})
            return repo.commit(dict(files), lfs)

    def fail(self, pattern, status=500, headers=None, times=None, method=None, message="This is a test."):
        """Answer with an error instead of doing what was asked for."""
        self._faults.append(_Fault("fail", pattern, method, times, (status, headers or {}, message)))

    def cut(self, pattern, after_bytes, method=None):
        """Cut the connection after so many bytes of the answer's body."""
        self._faults.append(_Fault("cut", pattern, method, None, after_bytes))

    def corrupt(self, pattern, times=None, method=None):
        """Change the answer's body, at the same length."""
        self._faults.append(_Fault("corrupt", pattern, method, times))

    def clear(self):
        """End all faults, and forget the requests."""
        self._faults.clear()
        self.requests.clear()

    def asked(self, pattern, method=None):
        """The `Request`s so far whose path has the regular expression in it."""
        return [r for r in self.requests if re.search(pattern, r.path) and method in (None, r.method)]

    def _strike(self, kind, method, path):
        """The fault that strikes a request, used up by one; None where there is none."""
        with self._lock:
            fault = next((fault for fault in self._faults if fault.strikes(kind, method, path)), None)
            if fault and fault.times is not None:
                fault.times -= 1
            return fault

    def _create(self, name, private, settings=None):
        repo = self.repos[name] = Repo(name, private, settings=settings or {})
        repo.commit({})
        return repo


@contextmanager
def hub_server():
    """Yield a `Hub` that answers until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answer(Exception):
    """What is sent back; raised from as deep as it is known."""

    def __init__(self, status=200, body=b"", headers=None):
        super().__init__(status)
        is_json = not isinstance(body, bytes)
        kind = "application/json; charset=utf-8" if is_json else "application/octet-stream"
        self.status, self.body = status, json.dumps(body).encode() if is_json else body
        self.headers = {"Content-Type": kind, **(headers or {})}


def _error(status, message, code=None):
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return _Answer(status, {"error": message}, headers)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *arguments):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits for an ACK

    def _serve(self):
        hub = self.hub
        parts = urlsplit(self.path)
        self.route, self.query = unquote(parts.path), parse_qs(parts.query)
        hub.requests.append(Request(self.command, self.route))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if fail := hub._strike("fail", self.command, self.route):
                status, headers, message = fail.value
                raise _Answer(status, {"error": message}, headers)
            self.user = self._authenticate()
            with hub._lock:
                self._answer()
            raise _error(404, "Sorry, we can't find the page you are looking for.")
        except _Answer as answer:
            self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def _send(self, answer):
        body = answer.body
        if self.command == "GET" and self.hub._strike("corrupt", self.command, self.route):
            body = body[:-1] + bytes([body[-1] ^ 0xFF])
        cut = self.hub._strike("cut", self.command, self.route)
        closes, self.close_connection = self.close_connection or cut is not None, True
        with suppress(OSError):  # the other side may hang up
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body if cut is None else body[: cut.value])
            self.close_connection = closes
            if cut:
                self.connection.shutdown(socket.SHUT_WR)  # what was sent arrives; a reset could discard it

    def _authenticate(self):
        authorization = self.headers.get("Authorization")
        if authorization is None:
            return None
        user = self.hub.users.get(authorization.removeprefix("Bearer "))
        if user is None:
            raise _error(401, "Invalid credentials in Authorization header")
        return user

    def _answer(self):
        name = r"(?P<name>(?:(?:spaces|datasets)/)?[\w.-]+/[\w.-]+)"
        of_api = rf"(?:models/|(?=(?:spaces|datasets)/)){name}"
        for method, pattern, do in (
            ("GET", "/api/whoami-v2", self._whoami),
            ("POST", "/api/repos/create", self._create_repo),
            ("POST", "/api/validate-yaml", self._validate_yaml),
            ("GET", f"/api/{of_api}/auth-check(?P<write>/write)?", self._auth_check),
            ("GET", f"/api/{of_api}(?:/revision/(?P<revision>.+))?", self._info),
            ("GET", f"/api/{of_api}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", self._tree),
            ("POST", f"/api/{of_api}/paths-info/(?P<revision>[^/]+)", self._paths_info),
            ("POST", f"/api/{of_api}/preupload/(?P<revision>.+)", self._preupload),
            ("POST", f"/api/{of_api}/commit/(?P<revision>.+)", self._commit),
            ("POST", f"/{name}.git/info/lfs/objects/batch", self._lfs_batch),
            ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", self._lfs_put),
            ("GET", f"/{name}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", self._resolve),
        ):
            asked = "GET" if self.command == "HEAD" else self.command
            if asked == method and (match := re.fullmatch(pattern, self.route)):
                do(**match.groupdict())

    def _json(self):
        return json.loads(self.body)

    def _repo(self, name, write=False):
        """The repository, if the user may see it (or write to it); the errors are those of the Hub."""
        repo = self.hub.repos.get(name)
        namespace = name.split("/")[-2]
        if repo is None or (repo.private and not (self.user and self.user.may_read(namespace))):
            # Who gives no token learns nothing about what there is.
            raise _error(404 if self.user else 401, "Repository not found", "RepoNotFound")
        if write and not (self.user and self.user.may_write(namespace)):
            raise _error(403 if self.user else 401, "You have read access but not the required permissions")
        return repo

    def _commit_at(self, name, revision, write=False):
        repo = self._repo(name, write)
        commit = repo.at(revision or "main")
        if commit is None:
            raise _error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repo, commit

    def _require_user(self):
        if self.user is None:
            raise _error(401, "Invalid username or password.")

    def _whoami(self):
        self._require_user()
        orgs = [{"type": "org", "name": name, "roleInOrg": role} for name, role in self.user.orgs.items()]
        access = {"displayName": "a test's token", "role": self.user.role}
        auth = {"type": "access_token", "accessToken": access}
        raise _Answer(body={"type": "user", "id": "1", "name": self.user.name, "orgs": orgs, "auth": auth})

    def _create_repo(self):
        self._require_user()
        asked = self._json()
        namespace = asked.get("organization") or self.user.name
        is_space = asked.get("type") == "space"
        name = f"{'spaces/' * is_space}{namespace}/{asked['name']}"
        url = f"{self.hub.url}/{name}"
        if not self.user.may_write(namespace):
            raise _error(403, f'You don\'t have the rights to create a model under the namespace "{namespace}"')
        if name in self.hub.repos:
            message = f"You already created this {'space' if is_space else 'model'} repo"
            raise _Answer(409, {"error": message, "url": url}, {"X-Error-Message": message})
        variables = {entry["key"]: entry["value"] for entry in asked.get("variables") or []}
        settings = {"sdk": asked.get("sdk"), "hardware": asked.get("hardware"), "variables": variables}
        is_private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub._create(name, is_private, settings if is_space else {})
        raise _Answer(body={"url": url, "name": name})

    def _validate_yaml(self):
        is_missing = not self._json()["content"].startswith("---")
        raise _Answer(body={"errors": [], "warnings": [{"message": "empty or missing yaml metadata"}] * is_missing})

    def _auth_check(self, name, write):
        self._repo(name, write=write is not None)
        raise _Answer(body={})

    def _info(self, name, revision):
        repo, commit = self._commit_at(name, revision)
        siblings = [{"rfilename": path, "size": len(content)} for path, content in sorted(commit.files.items())]
        shown = {"id": name, "modelId": name, "author": name.split("/")[0], "sha": commit.oid, "siblings": siblings}
        raise _Answer(body={**shown, "private": repo.private, "gated": "auto" if repo.gated else False, "tags": []})

    def _tree(self, name, revision, folder):
        _, commit = self._commit_at(name, revision)
        prefix = f"{folder}/" if folder else ""
        below = [path for path in sorted(commit.files) if path.startswith(prefix)]
        if folder and not below:
            raise _error(404, f"{folder} does not exist", "EntryNotFound")
        if self.query.get("recursive", ["false"])[0].lower() != "true":
            below = dict.fromkeys(prefix + path.removeprefix(prefix).split("/")[0] for path in below)
        raise _Answer(body=[_entry(commit, path) for path in below])

    def _paths_info(self, name, revision):
        _, commit = self._commit_at(name, revision)
        asked = self._json()["paths"]
        raise _Answer(body=[_entry(commit, path) for path in asked if path in commit.files])

    def _preupload(self, name, revision):
        _, commit = self._commit_at(name, revision, write=True)
        body, files = self._json(), []
        ignored = _ignored(body.get("gitIgnore"), [asked["path"] for asked in body["files"]])
        for asked in body["files"]:
            path = asked["path"]
            lfs = _is_lfs(base64.b64decode(asked["sample"]), asked["size"])
            file = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": path in ignored}
            if path in commit.files:
                content = commit.files[path]
                file["oid"] = _sha256(content) if path in commit.lfs else _git_oid(content)
            files.append(file)
        raise _Answer(body={"files": files})

    def _lfs_batch(self, name):
        self._repo(name, write=True)
        objects = []
        for asked in self._json()["objects"]:
            entry = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.hub.objects:
                entry["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{asked['oid']}"}}
            objects.append(entry)
        raise _Answer(body={"transfer": "basic", "objects": objects})

    def _lfs_put(self, oid):
        if _sha256(self.body) != oid:
            raise _error(400, "The content does not have the SHA-256 that was announced")
        self.hub.objects[oid] = self.body
        raise _Answer()

    def _commit(self, name, revision):
        repo, last = self._commit_at(name, revision, write=True)
        files, lfs = dict(last.files), last.lfs
        for line in map(json.loads, self.body.splitlines()[1:]):  # the first is the commit's message
            value = line["value"]
            path, is_lfs = value["path"], line["key"] == "lfsFile"
            files[path] = self.hub.objects[value["oid"]] if is_lfs else base64.b64decode(value["content"])
            lfs = lfs | {path} if is_lfs else lfs - {path}
        oid = repo.commit(files, lfs)
        raise _Answer(body={"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{name}/commit/{oid}"})

    def _resolve(self, name, revision, path):
        repo, commit = self._commit_at(name, revision)
        if repo.gated and not (self.user and self.user.may_read(name.split("/")[0])):
            raise _error(403 if self.user else 401, f"Access to model {name} is restricted.", "GatedRepo")
        if path not in commit.files:
            raise _error(404, "Entry not found", "EntryNotFound")
        content = commit.files[path]
        tag = f'"{_sha256(content) if path in commit.lfs else _git_oid(content)}"'
        headers = {"X-Repo-Commit": commit.oid, "ETag": tag}
        if path in commit.lfs:
            headers |= {"X-Linked-Etag": tag, "X-Linked-Size": str(len(content))}
        if self.command == "HEAD":
            raise _Answer(headers={**headers, "Content-Length": str(len(content))})
        raise _Answer(200, content, headers)


def _entry(commit, path):
    if path not in commit.files:
        return {"type": "directory", "path": path, "oid": _git_oid(path.encode())}
    content = commit.files[path]
    entry = {"type": "file", "path": path, "size": len(content), "oid": _git_oid(content)}
    if path in commit.lfs:
        entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 130}
    return entry


def _is_lfs(sample, size=0):
    """Whether a file goes to LFS: binary, or large."""
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.start < len(sample) - 3  # else the sample ends within a character
    return b"\0" in sample or max(size, len(sample)) > 10 * 2**20


def _ignored(gitignore, paths):
    """Those of the paths that a .gitignore with that content leaves out, by Git's own word."""
    if gitignore is None:
        return set()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".gitignore").write_text(gitignore)
        subprocess.run(["git", "init", "-q", folder], check=True)
        command = ["git", "-C", folder, "check-ignore", "--no-index", "--stdin", "-z"]
        done = subprocess.run(command, input="\0".join(paths).encode(), stdout=subprocess.PIPE)
    return set(done.stdout.decode().split("\0")) - {""}


def _sha256(content):
    return hashlib.sha256(content).hexdigest()


def _git_oid(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
