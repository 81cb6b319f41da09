# Stands before every bash block of a page. REPOSITORY and SERVICE_PORT come from tests/documentation/shell.py.
set -euo pipefail

# Goes on once the service answers; the runner ends it with the page.
branching() {
    if [[ ${1-} != serve ]]; then
        command branching "$@"
        return
    fi
    command branching "$@" >service.log 2>&1 &
    echo $! >service.pid
    python - "http://127.0.0.1:$SERVICE_PORT/readyz" <<'PYTHON' || { cat service.log >&2; return 1; }
import sys
import time
import urllib.request

for attempt in range(600):
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=5):
            sys.exit()
    except OSError:
        time.sleep(0.2)
sys.exit("the service is not ready after two minutes")
PYTHON
}

# Installs nothing: all must be here already, and the extras must exist.
pip() {
    local log
    log=$(cd "$REPOSITORY" && python -m pip "$@" --dry-run --no-index --no-build-isolation 2>&1) || {
        echo "$log" >&2
        return 1
    }
    if [[ $log == *"does not provide the extra"* ]]; then
        echo "$log" >&2
        return 1
    fi
}

# Runs the demo with the installed packages; of any other target only tells that it exists, as `make test` is
# what runs this.
make() {
    if [[ ${1-} == demo ]]; then
        command make -s -C "$REPOSITORY" -o .venv/demo.stamp BIN="$(dirname "$(command -v python)")" \
            DEMO="$PWD/demo-output" demo
    else
        command make -C "$REPOSITORY" -n "$@" >/dev/null
    fi
}
