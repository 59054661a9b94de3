# Keeps a PostgreSQL in a directory of its own, on a socket there and on no port. Takes commands from its standard
# input and answers each with a line. When the input ends, however whoever holds it ended, the server is stopped
# and the directory is gone.
set -eu
trap '' INT TERM HUP
bin=$1 fsync=$2
dir=$(mktemp -d "${TMPDIR:-/tmp}/tautline-postgres.XXXXXX")
clean() { kill -INT "$pid" 2>/dev/null || :; wait "$pid" 2>/dev/null || :; rm -rf "$dir"; }
start() {
  "$bin/postgres" -D "$dir/data" -k "$dir" >>"$dir/log" 2>&1 </dev/null &
  pid=$!
  until "$bin/pg_isready" -q -h "$dir"; do
    kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
    sleep 0.05
  done
}
"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log"
cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = ''
max_connections = 400
fsync = $fsync
shared_buffers = 128MB
CONF
pid=0
start
trap clean EXIT
echo "$dir"
while read -r command; do
  case $command in
    start) start ;;
    stop) kill -INT "$pid"; wait "$pid" || : ;;
    crash) kill -QUIT "$pid"; wait "$pid" || : ;;
  esac
  echo done
done
