"""An S3 server that is not ours (moto's), over TLS with a device's certificate, which writes down each request.

    server.py CERTIFICATE KEY LOG BUCKET

Prints the port that it listens at. LOG gets one JSON object a request: method, path, and the headers that a device's S3 adapter can't
do or that tell who signed. Ends when its stdin ends.
"""

import json
import ssl
import sys
import threading

from moto import settings
from moto.server import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

TOLD = ["HTTP_CONTENT_ENCODING", "HTTP_X_AMZ_CONTENT_SHA256", "HTTP_X_AMZ_TRAILER", "HTTP_X_AMZ_DECODED_CONTENT_LENGTH",
        "HTTP_AUTHORIZATION", "HTTP_HOST"]


def main(certificate, key, log, bucket):
    # What the job brought with it.
    s3_backends["123456789012"]["aws"].create_bucket(bucket, "us-east-1")
    moto = DomainDispatcherApplication(create_backend_app)
    log = open(log, "a", encoding="utf-8")
    lock = threading.Lock()

    def recorded(environ, start_response):
        told = {name.removeprefix("HTTP_").lower(): environ[name] for name in TOLD if name in environ}
        path = environ["PATH_INFO"] + ("?" + environ["QUERY_STRING"] if environ["QUERY_STRING"] else "")
        with lock:
            print(json.dumps({"method": environ["REQUEST_METHOD"], "path": path, **told}), file=log, flush=True)
        return moto(environ, start_response)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = make_server("127.0.0.1", 0, recorded, threaded=True, ssl_context=context)
    print(server.port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    settings.S3_UPLOAD_PART_MIN_SIZE = 5 * 1024 * 1024
    main(*sys.argv[1:])
