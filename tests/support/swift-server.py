"""An S3 server for tests: Debian's swift with s3api and tempauth, its four servers in one process on loopback, its data in one folder.

usage: swift_server.py FOLDER USER SECRET [CERTIFICATE KEY]
The id of the access key is hub:USER. Prints the port of the S3 API once it accepts; ends with its parent (setpriv --pdeathsig).
"""
import os
import sys

import eventlet

eventlet.patcher.monkey_patch()

from eventlet import wsgi  # noqa: E402
from swift.common.http_protocol import SwiftHttpProtocol  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.utils import NullLogger  # noqa: E402

folder, user, secret = sys.argv[1:4]
tls = sys.argv[4:6]
etc, disks = os.path.join(folder, "etc"), os.path.join(folder, "disks")
os.makedirs(etc)
os.makedirs(os.path.join(disks, "d1"))
STORAGE = ("account", "container", "object")


def write(name, text):
    with open(os.path.join(etc, name), "w") as file:
        file.write(text)


write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = edgekeep\n[storage-policy:0]\nname = one\ndefault = yes\n")
# On a crowded machine a listing that is updated later would stay without its newest objects: no updater runs here.
TIMEOUTS = "conn_timeout = 60\nnode_timeout = 60\ncontainer_update_timeout = 60\nrecoverable_node_timeout = 60\n"
COMMON = f"[DEFAULT]\nbind_ip = 127.0.0.1\nswift_dir = {etc}\ndevices = {disks}\nmount_check = false\nlog_level = CRITICAL\n{TIMEOUTS}"
for name in STORAGE:
    write(f"{name}.conf", f"{COMMON}[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n{TIMEOUTS}")
write(
    "proxy.conf",
    COMMON
    + f"""[pipeline:main]
pipeline = catch_errors s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
{TIMEOUTS}[filter:tempauth]
use = egg:swift#tempauth
user_hub_{user} = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
""",
)

import swift.common.utils  # noqa: E402

swift.common.utils.SWIFT_CONF_FILE = os.path.join(etc, "swift.conf")
import swift.common.storage_policy  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402

swift.common.storage_policy.reload_storage_policies()
swift.common.utils.validate_hash_conf()
sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in (*STORAGE, "proxy")}
for name in STORAGE:
    builder = RingBuilder(2, 1, 1)
    own = sockets[name].getsockname()[1]
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": own, "device": "d1", "weight": 1.0})
    builder.rebalance()
    builder.get_ring().save(os.path.join(etc, f"{name}.ring.gz"))


class Cache:
    """What memcached does for swift, in this process."""

    def __init__(self):
        self.values = {}

    def get(self, key, **_):
        return self.values.get(key)

    def set(self, key, value, **_):
        self.values[key] = value

    def delete(self, key, **_):
        self.values.pop(key, None)


def cached(app, cache):
    def answer(env, start_response):
        env["swift.cache"] = cache
        return app(env, start_response)

    return answer


def serve(name):
    app = loadapp(os.path.join(etc, f"{name}.conf"), global_conf={"log_name": name})
    if name == "proxy":
        app = cached(app, Cache())
    socket = sockets[name]
    if tls and name == "proxy":
        socket = eventlet.wrap_ssl(socket, certfile=tls[0], keyfile=tls[1], server_side=True)
    options = {"protocol": SwiftHttpProtocol, "socket_timeout": 60, "capitalize_response_headers": False}
    return eventlet.spawn(wsgi.server, socket, app, NullLogger(), **options)


port = sockets["proxy"].getsockname()[1]
servers = [serve(name) for name in (*STORAGE, "proxy")]
print(port, flush=True)
servers[-1].wait()
