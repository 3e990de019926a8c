#!/usr/bin/env bash
# Starts and stops the real servers that the tests and the benchmark use.
#
#   scripts/services.sh up       install what is missing, start everything, print the variables
#   scripts/services.sh down     stop what this script started
#   scripts/services.sh status   one line per service; exit code 0 only if all are up
#   scripts/services.sh env      print the variables only
#   scripts/services.sh dotenv   print a .env with the sample projects' databases on this server
#   scripts/services.sh pg-bin   print the folder of PostgreSQL's server programs
#
# Data, logs and pid files live under DBFERRY_SCRATCH (default: dbferry-services in the folder for
# temporary files), so that nothing on the machine is touched but the installed packages.
# DBFERRY_SQLX=1 has `up` install sqlx's command line as well, which the tests compare with.
# DBFERRY_SERVICES=docker takes the servers from docker-compose.yml instead; so does a machine with
# a Docker engine on which Debian's servers cannot be installed.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(realpath -m "${DBFERRY_SCRATCH:-${TMPDIR:-/tmp}/dbferry-services}")

postgres_host=127.0.0.1
postgres_port=${DBFERRY_POSTGRES_PORT:-54329}
postgres_user=dbferry
postgres_password=dbferry
postgres_folder=$scratch/postgres
postgres_data=$postgres_folder/data
postgres_socket=$postgres_folder/socket
postgres_log=$postgres_folder/server.log
# Who the server runs as when we are root: initdb and postgres refuse root.
postgres_owner=postgres

say() { printf 'services: %s\n' "$*" >&2; }
fail() {
    printf 'services: %s\n' "$1" >&2
    shift
    local hint
    for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done
    exit 1
}

# --- what the machine has --------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 127
    fi
}

# apt-get that waits for another apt-get instead of failing beside it, and asks nothing.
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -qq -y "$@" </dev/null >&2
}

docker_answers() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

compose() { docker compose --project-name dbferry --file "$repository/docker-compose.yml" "$@"; }

# How the servers are run: `debian` or `docker`. Decided once, by `up`, and kept for the others.
mode_file=$scratch/mode
mode() { if [ -f "$mode_file" ]; then cat "$mode_file"; else echo "${DBFERRY_SERVICES:-debian}"; fi; }

# --- PostgreSQL ------------------------------------------------------------------------------

# The newest installed server's folder. Debian keeps the server's programs outside PATH, and what
# PATH may hold under the same names are wrappers that look for clusters of the system.
pg_bin() {
    local folder
    for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
        if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ] && [ -x "$folder/postgres" ]; then
            echo "$folder"
            return 0
        fi
    done
    return 1
}

postgres_install() {
    pg_bin >/dev/null && return 0
    command -v apt-get >/dev/null || return 1
    say "installing PostgreSQL (apt-get install postgresql)"
    # The package would start a cluster of its own on port 5432 otherwise.
    as_root mkdir -p /etc/postgresql-common/createcluster.d || return 1
    echo 'create_main_cluster = false' |
        as_root tee /etc/postgresql-common/createcluster.d/dbferry.conf >/dev/null || return 1
    apt update || say "apt-get update failed; going on with the package lists that are there"
    apt install --no-install-recommends postgresql || return 1
    pg_bin >/dev/null
}

# Runs a command as the user that the server runs as, in a folder which that user can read.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && setpriv --reuid="$postgres_owner" --regid="$postgres_owner" --init-groups \
            env -u CARGO_TARGET_DIR HOME="$postgres_folder" LC_ALL=C.UTF-8 "$@")
    else
        (cd / && LC_ALL=C.UTF-8 "$@")
    fi
}

# The pid in a pid file, if that process lives and is our server; a file that was left behind by a
# crash or a reboot may name somebody else's process.
postgres_pid() {
    local pid
    pid=$(head -n 1 "$postgres_data/postmaster.pid" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ ]] || return 1
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(readlink -f "$postgres_data")" ] || return 1
    echo "$pid"
}

port_open() { (exec 3<>"/dev/tcp/$postgres_host/$1") 2>/dev/null; }

postgres_query() {
    PGPASSWORD=$postgres_password PGCONNECT_TIMEOUT=5 "$(pg_bin)/psql" -XAtq \
        -h "$postgres_host" -p "$postgres_port" -U "$postgres_user" -d postgres -c "$1"
}

postgres_is_up() {
    postgres_pid >/dev/null && [ "$(postgres_query 'select 1' 2>/dev/null)" = 1 ]
}

postgres_initdb() {
    [ -f "$postgres_data/PG_VERSION" ] && [ -f "$postgres_data/dbferry.ready" ] && return 0
    # Half-made by a call that was killed: nothing of value is in it yet.
    rm -rf "$postgres_data"
    mkdir -p "$postgres_folder" "$postgres_socket"
    if [ "$(id -u)" = 0 ]; then
        # Every folder above must let the unprivileged user through.
        chmod go+x "$scratch"
        chown -R "$postgres_owner:" "$postgres_folder"
    fi
    as_postgres test -x "$postgres_folder" ||
        fail "user $postgres_owner cannot reach $postgres_folder" \
            "set DBFERRY_SCRATCH to a folder that other users can enter"
    # A socket's path has at most 107 bytes; a scratch folder deeper than that goes without one.
    local socket_folder=$postgres_socket
    [ "${#socket_folder}" -le 88 ] || socket_folder=''
    say "making a database cluster in $postgres_data"
    local password_file=$postgres_folder/password
    (umask 077 && printf '%s\n' "$postgres_password" >"$password_file")
    [ "$(id -u)" = 0 ] && chown "$postgres_owner:" "$password_file"
    as_postgres "$(pg_bin)/initdb" --pgdata="$postgres_data" --username="$postgres_user" \
        --pwfile="$password_file" --auth-local=scram-sha-256 --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 >"$postgres_folder/initdb.log" 2>&1 ||
        fail "initdb failed: $(tail -n 3 "$postgres_folder/initdb.log" | tr '\n' ' ')"
    rm -f "$password_file"
    as_postgres tee -a "$postgres_data/postgresql.conf" >/dev/null <<CONF

# --- dbferry ---
listen_addresses = '$postgres_host'
unix_socket_directories = '$socket_folder'
ssl = off
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
# The tests kill processes, never the machine: what the kernel has is kept. Without this, making and
# dropping a database for each test costs more than the tests. (The benchmark switches it on.)
fsync = off
logging_collector = off
log_line_prefix = '%m [%p] %a '
CONF
    as_postgres touch "$postgres_data/dbferry.ready"
}

# Pid and lock files without their process, left behind by a crash. The server would remove them
# itself, unless the number in them has been given to somebody else since. Its backends may outlive
# a killed server for a moment: nothing is removed while one of them still works on the data.
postgres_clear_crash() {
    local data attempt
    data=$(readlink -f "$postgres_data")
    for attempt in $(seq 1 51); do
        readlink /proc/[0-9]*/cwd 2>/dev/null | grep -qxF "$data" || break
        [ "$attempt" -le 50 ] ||
            fail "processes of a crashed PostgreSQL still work in $postgres_data" "wait for them, or end them"
        sleep 0.2
    done
    rm -f "$postgres_data/postmaster.pid" "$postgres_socket"/.s.PGSQL.*
}

postgres_up() {
    if postgres_is_up; then return 0; fi
    # Starting up or shutting down, perhaps: give it a moment before judging.
    if postgres_pid >/dev/null; then
        local _
        for _ in $(seq 1 100); do
            postgres_is_up && return 0
            postgres_pid >/dev/null || break
            sleep 0.2
        done
        postgres_pid >/dev/null && fail "PostgreSQL runs (pid $(postgres_pid)) but refuses user $postgres_user on port $postgres_port" \
            "see $postgres_log" "or start afresh: scripts/services.sh down; rm -r $postgres_folder"
    fi
    if port_open "$postgres_port"; then
        fail "port $postgres_port on $postgres_host is taken by another program" \
            "find it with: ss -ltnp 'sport = :$postgres_port'" \
            "or choose another port: DBFERRY_POSTGRES_PORT=54330 scripts/services.sh up"
    fi
    postgres_initdb
    postgres_clear_crash
    say "starting PostgreSQL on $postgres_host:$postgres_port"
    # The lock of this script must not live on in the server: descriptor 9 is closed for it.
    as_postgres "$(pg_bin)/pg_ctl" --pgdata="$postgres_data" --log="$postgres_log" --wait --timeout=60 \
        --silent --options="-p $postgres_port" start 9>&- </dev/null >/dev/null 2>&1 ||
        fail "PostgreSQL did not start: $(tail -n 5 "$postgres_log" 2>/dev/null | tr '\n' ' ')" "see $postgres_log"
    postgres_is_up ||
        fail "PostgreSQL started but refuses user $postgres_user on port $postgres_port" "see $postgres_log"
}

postgres_down() {
    pg_bin >/dev/null || return 0
    postgres_pid >/dev/null || return 0
    say "stopping PostgreSQL"
    as_postgres "$(pg_bin)/pg_ctl" --pgdata="$postgres_data" --mode=fast --wait --timeout=60 --silent stop >&2
}

# --- Redis -----------------------------------------------------------------------------------

# A server that is alone, and a cluster of three masters with a replica each. Both know one user, as
# PostgreSQL does; the default user is off.
redis_user=dbferry
redis_password=dbferry
redis_port=${DBFERRY_REDIS_PORT:-56379}
redis_folder=$scratch/redis
redis_cluster_folder=$scratch/redis-cluster
redis_cluster_first=${DBFERRY_REDIS_CLUSTER_PORT:-57001}
redis_cluster_ports=()
for index in 0 1 2 3 4 5; do redis_cluster_ports+=("$((redis_cluster_first + index))"); done
unset index
# The nodes speak with each other on these; Redis itself would add 10000, and leave the range of ports.
redis_bus_distance=100

redis_install() {
    command -v redis-server >/dev/null && command -v redis-cli >/dev/null && return 0
    command -v apt-get >/dev/null || return 1
    say "installing Redis (apt-get install redis-server)"
    # The package would start a server of its own on port 6379 otherwise.
    local policy=/usr/sbin/policy-rc.d made=no code=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy" || return 1
        made=yes
    fi
    apt update || say "apt-get update failed; going on with the package lists that are there"
    apt install --no-install-recommends redis-server || code=1
    [ "$made" = no ] || as_root rm -f "$policy"
    [ "$code" = 0 ] && command -v redis-server >/dev/null && command -v redis-cli >/dev/null
}

redis_ask() {
    local port=$1
    shift
    REDISCLI_AUTH=$redis_password timeout 10 redis-cli --user "$redis_user" -h "$postgres_host" -p "$port" "$@" 2>/dev/null
}

redis_answers() { [ "$(redis_ask "$1" ping)" = PONG ]; }

# The server that works in a folder: what a pid file says may be somebody else's by now.
redis_pid() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ ]] || return 1
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(readlink -f "$1")" ] || return 1
    echo "$pid"
}

# Starts the server of a folder on a port, unless it runs; what standard input has goes into its
# configuration. Fails where it does not start; says so with the folder's log.
redis_start() {
    local folder=$1 port=$2 settings attempt
    settings=$(cat)
    if redis_pid "$folder" >/dev/null; then return 0; fi
    if port_open "$port"; then
        fail "port $port on $postgres_host is taken by another program" \
            "find it with: ss -ltnp 'sport = :$port'" \
            "or choose others: DBFERRY_REDIS_PORT=56380 DBFERRY_REDIS_CLUSTER_PORT=57011 scripts/services.sh up"
    fi
    mkdir -p "$folder"
    cat >"$folder/redis.conf" <<CONF
port $port
bind $postgres_host
dir "$folder"
pidfile "$folder/pid"
logfile "$folder/server.log"
daemonize yes
user default off
user $redis_user on >$redis_password ~* &* +@all
# The tests kill processes, never the machine: what the kernel has is kept.
save ""
appendonly yes
appendfsync no
maxmemory 512mb
maxmemory-policy noeviction
$settings
CONF
    # The lock of this script must not live on in the server: descriptor 9 is closed for it.
    redis-server "$folder/redis.conf" 9>&- </dev/null >/dev/null 2>&1 || return 1
    for attempt in $(seq 1 100); do
        redis_answers "$port" && return 0
        [ "$attempt" -lt 20 ] || redis_pid "$folder" >/dev/null || break
        sleep 0.1
    done
    say "the Redis server in $folder does not answer: $(tail -n 3 "$folder/server.log" 2>/dev/null | tr '\n' ' ')"
    return 1
}

redis_stop() {
    local folder=$1 pid signal _
    for signal in TERM KILL; do
        pid=$(redis_pid "$folder") || return 0
        kill "-$signal" "$pid" 2>/dev/null || return 0
        for _ in $(seq 1 50); do
            redis_pid "$folder" >/dev/null || return 0
            sleep 0.1
        done
    done
}

redis_is_up() { redis_pid "$redis_folder" >/dev/null && redis_answers "$redis_port"; }

redis_up() {
    redis_is_up && return 0
    say "starting Redis on $postgres_host:$redis_port"
    # Many databases: whoever wants one alone takes a number.
    redis_start "$redis_folder" "$redis_port" <<<'databases 256' ||
        fail "Redis did not start" "see $redis_folder/server.log" \
            "or start afresh: scripts/services.sh down; rm -r $redis_folder"
}

redis_node_folder() { echo "$redis_cluster_folder/$1"; }

# All six nodes see a whole cluster: every slot served, three masters, and replicas that follow.
redis_cluster_is_up() {
    local port nodes
    for port in "${redis_cluster_ports[@]}"; do
        redis_pid "$(redis_node_folder "$port")" >/dev/null || return 1
        redis_ask "$port" cluster info | tr -d '\r' | grep -qx 'cluster_state:ok' || return 1
        nodes=$(redis_ask "$port" cluster nodes) || return 1
        [ "$(wc -l <<<"$nodes")" = 6 ] || return 1
        [ "$(awk '$3 ~ /master/' <<<"$nodes" | wc -l)" = 3 ] || return 1
        awk '$3 ~ /fail|handshake|noaddr/ || $8 != "connected" { exit 1 }' <<<"$nodes" || return 1
        case $(redis_ask "$port" info replication | tr -d '\r') in
            *role:master* | *master_link_status:up*) ;;
            *) return 1 ;;
        esac
    done
}

redis_cluster_start() {
    local port
    for port in "${redis_cluster_ports[@]}"; do
        redis_start "$(redis_node_folder "$port")" "$port" <<CONF || return 1
cluster-enabled yes
cluster-port $((port + redis_bus_distance))
cluster-config-file nodes.conf
cluster-node-timeout 2000
cluster-require-full-coverage yes
masteruser $redis_user
masterauth $redis_password
repl-diskless-sync-delay 0
CONF
    done
}

# Waits until the cluster is whole: after a crash its replicas may have to be elected first.
redis_cluster_wait() {
    local _
    for _ in $(seq 1 150); do
        redis_cluster_is_up && return 0
        sleep 0.2
    done
    return 1
}

redis_cluster_stop() {
    local port
    for port in "${redis_cluster_ports[@]}"; do redis_stop "$(redis_node_folder "$port")"; done
}

redis_cluster_up() {
    redis_cluster_is_up && return 0
    say "starting a Redis cluster on $postgres_host:${redis_cluster_ports[0]} to ${redis_cluster_ports[5]}"
    if [ -f "$redis_cluster_folder/formed" ]; then
        redis_cluster_start && redis_cluster_wait && return 0
        say "the cluster in $redis_cluster_folder does not come back whole: making it afresh"
    fi
    # Half-made by a call that was killed, or broken: nothing of value is in it.
    redis_cluster_stop
    rm -rf "$redis_cluster_folder"
    mkdir -p "$redis_cluster_folder"
    redis_cluster_start || fail "the nodes of the Redis cluster did not start" "see $redis_cluster_folder/*/server.log"
    # The nodes are asked to meet, which takes them a moment longer than the command.
    REDISCLI_AUTH=$redis_password timeout 60 redis-cli --user "$redis_user" --cluster create \
        "${redis_cluster_ports[@]/#/$postgres_host:}" --cluster-replicas 1 --cluster-yes \
        >"$redis_cluster_folder/create.log" 2>&1 </dev/null ||
        fail "the Redis cluster was not formed: $(tail -n 1 "$redis_cluster_folder/create.log")" \
            "see $redis_cluster_folder/create.log"
    redis_cluster_wait || fail "the Redis cluster does not become whole" "see $redis_cluster_folder/*/server.log"
    touch "$redis_cluster_folder/formed"
}

redis_down() {
    redis_pid "$redis_folder" >/dev/null && say "stopping Redis"
    redis_stop "$redis_folder"
    redis_pid "$(redis_node_folder "${redis_cluster_ports[0]}")" >/dev/null && say "stopping the Redis cluster"
    redis_cluster_stop
}

# --- Cosmium -----------------------------------------------------------------------------------

# A second Cosmos DB emulator, by other people, beside the one that every test about Cosmos starts
# for itself. Nothing but Go's own proxy is asked for it; where that does not hand it out, it is left
# out by name.
cosmium_version=${DBFERRY_COSMIUM_VERSION:-latest}
cosmium_port=${DBFERRY_COSMIUM_PORT:-54381}
cosmium_folder=$scratch/cosmium
cosmium_program=$cosmium_folder/bin/server
cosmium_key=ZGJmZXJyeSB0ZXN0cyBhbG9uZQ==

cosmium_install() {
    [ -x "$cosmium_program" ] && return 0
    # A refusal does not change from call to call: it is kept, and asked about again after a day.
    local refused=$cosmium_folder/refused
    if [ -n "$(find "$refused" -mmin -1440 2>/dev/null)" ]; then
        say "cosmium is left out: $(cat "$refused")"
        return 1
    fi
    mkdir -p "$cosmium_folder"
    if ! command -v go >/dev/null; then
        say "cosmium is left out: no Go compiler is installed"
        return 1
    fi
    say "installing cosmium (go install github.com/pikami/cosmium/cmd/server@$cosmium_version)"
    if ! GOBIN=$cosmium_folder/bin timeout 300 go install "github.com/pikami/cosmium/cmd/server@$cosmium_version" \
        >"$cosmium_folder/install.log" 2>&1 </dev/null; then
        local reason
        reason=$(grep -Eo '[0-9]{3} [A-Z][a-z]+.*' "$cosmium_folder/install.log" | head -n 1)
        echo "the Go proxy refuses its module: ${reason:-$(tail -n 1 "$cosmium_folder/install.log")}" >"$refused"
        say "cosmium is left out: $(cat "$refused")"
        return 1
    fi
}

cosmium_pid() {
    local pid
    pid=$(cat "$cosmium_folder/pid" 2>/dev/null) || return 1
    [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$(readlink -f "$cosmium_program")" ] || return 1
    echo "$pid"
}

cosmium_up() {
    cosmium_pid >/dev/null && return 0
    cosmium_install || return 0
    if port_open "$cosmium_port"; then
        say "cosmium is left out: port $cosmium_port is taken by another program (see DBFERRY_COSMIUM_PORT)"
        return 0
    fi
    say "starting cosmium on 127.0.0.1:$cosmium_port"
    setsid "$cosmium_program" -Host 127.0.0.1 -Port "$cosmium_port" -DisableTls -AccountKey "$cosmium_key" \
        >"$cosmium_folder/server.log" 2>&1 9>&- </dev/null &
    echo $! >"$cosmium_folder/pid"
    local _
    for _ in $(seq 1 50); do
        port_open "$cosmium_port" && return 0
        sleep 0.1
    done
    say "cosmium did not start: $(tail -n 3 "$cosmium_folder/server.log" | tr '\n' ' ')"
}

cosmium_down() {
    local pid
    pid=$(cosmium_pid) || return 0
    say "stopping cosmium"
    kill "$pid"
}

# --- Cassandra ---------------------------------------------------------------------------------

# shellcheck source=scripts/services/cassandra.sh
. "$repository/scripts/services/cassandra.sh"

# --- Chromium ----------------------------------------------------------------------------------

# The browser that the tests open the page of a report in. It is started by each of them.
chromium_install() {
    command -v chromium >/dev/null && return 0
    command -v apt-get >/dev/null || return 1
    say "installing Chromium (apt-get install chromium)"
    apt update || say "apt-get update failed; going on with the package lists that are there"
    apt install --no-install-recommends chromium || return 1
    command -v chromium >/dev/null
}

# --- sqlx's command line ---------------------------------------------------------------------

# The tests let it migrate what dbferry migrated, and the other way round: the version of the crate.
sqlx_folder=$scratch/sqlx
sqlx_program=$sqlx_folder/bin/sqlx

sqlx_version() { awk '$0 == "name = \"sqlx\"" { getline; gsub(/[^0-9.]/, ""); print }' "$repository/Cargo.lock"; }

# How it is installed, for people, too.
sqlx_command() {
    echo "cargo install --locked sqlx-cli --version $(sqlx_version) --no-default-features --features postgres,sqlite --root $sqlx_folder"
}

sqlx_install() {
    [ "$("$sqlx_program" --version 2>/dev/null)" = "sqlx-cli $(sqlx_version)" ] && return 0
    say "installing sqlx's command line ($(sqlx_command))"
    mkdir -p "$sqlx_folder"
    # Built once, at low priority, and for its size rather than its speed.
    # shellcheck disable=SC2046
    CARGO_TARGET_DIR=$sqlx_folder/target CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
        nice -n 19 $(sqlx_command) >"$sqlx_folder/install.log" 2>&1 </dev/null || return 1
    rm -rf "$sqlx_folder/target"
}

# --- commands --------------------------------------------------------------------------------

# One call at a time. The lock goes with the process, however it ends.
take_lock() {
    mkdir -p "$scratch"
    exec 9>"$scratch/lock"
    flock -w 900 9 || fail "another call of scripts/services.sh holds $scratch/lock for more than 15 minutes"
}

environment() {
    echo "export DBFERRY_TEST_POSTGRES_URL=postgres://$postgres_user:$postgres_password@$postgres_host:$postgres_port/postgres"
    echo "export DBFERRY_TEST_REDIS_URL=redis://$redis_user:$redis_password@$postgres_host:$redis_port/0"
    echo "export DBFERRY_TEST_REDIS_CLUSTER_URL=redis://$redis_user:$redis_password@$postgres_host:${redis_cluster_ports[0]},$postgres_host:${redis_cluster_ports[1]},$postgres_host:${redis_cluster_ports[2]}"
    echo "export DBFERRY_TEST_SCYLLA_URL=scylla://$cassandra_user:$cassandra_password@$cassandra_host:$cassandra_port"
    # Tests that stop and kill nodes start their own of these libraries.
    echo "export DBFERRY_TEST_CASSANDRA=$cassandra_jars"
    # Also where it could not be installed: the tests that need it say how.
    echo "export DBFERRY_TEST_SQLX=$sqlx_program"
    # Only where it runs: the tests that could use it say so where it does not.
    if cosmium_pid >/dev/null; then
        echo "export DBFERRY_TEST_COSMIUM_URL=http://$postgres_host:$cosmium_port/"
    fi
}

# The variables of config/development.toml, for `.env` or a shell.
dotenv() {
    local name server=postgres://$postgres_user:$postgres_password@$postgres_host:$postgres_port
    echo "export GAME_DATABASE_URL=$server/game"
    echo "export REDIS_URL=redis://$redis_user:$redis_password@$postgres_host:$redis_port/0"
    echo "export BENTO_SOCIAL_URL=$server/bento_social"
    for name in auth user post topic comment notification interaction; do
        echo "export ${name^^}_DB_URL=$server/${name}_db"
    done
    echo "export NOSTRIA_DATABASE_URL=$server/nostria"
    echo "export VYRY_DATABASE_URL=$server/vyrydb"
    echo "export VYRY_TARGET_URL=$server/vyry"
    echo "export SCYLLA_URL=scylla://$cassandra_user:$cassandra_password@$cassandra_host:$cassandra_port/vyry"
    echo "export MINDIA_DATABASE_URL=$server/mindia"
    # The emulator of the tests, as README.md starts it; it takes any key.
    echo "export COSMOS_ENDPOINT=http://127.0.0.1:18081/"
    echo "export COSMOS_KEY=ZGJmZXJyeQ=="
}

docker_up() {
    docker_answers || fail "no Docker engine answers" "start one, or leave DBFERRY_SERVICES unset to use Debian's packages"
    say "starting the servers of docker-compose.yml"
    DBFERRY_POSTGRES_PORT=$postgres_port DBFERRY_REDIS_PORT=$redis_port DBFERRY_REDIS_CLUSTER_PORT=$redis_cluster_first \
        DBFERRY_REDIS_CLUSTER_LAST=${redis_cluster_ports[5]} DBFERRY_CASSANDRA_PORT=$cassandra_port compose up --detach --wait >&2
    # The tests' own throw-away servers need the programs, too.
    postgres_install || say "PostgreSQL's programs are not here: tests that restart a server of their own will fail"
    redis_install || say "Redis's programs are not here: tests that start a server of their own will fail"
    cassandra_install || say "Cassandra's libraries are not here: tests that start a node of their own will fail"
}

up() {
    take_lock
    if [ "${DBFERRY_SERVICES:-$(mode)}" = docker ]; then
        docker_up
        echo docker >"$mode_file"
    elif postgres_install && redis_install && cassandra_install; then
        # The slowest to start comes up beside the others.
        cassandra_is_up || cassandra_begin
        postgres_up
        redis_up
        redis_cluster_up
        cassandra_up
        echo debian >"$mode_file"
    elif docker_answers; then
        docker_up
        echo docker >"$mode_file"
    else
        fail "PostgreSQL, Redis or Cassandra is not installed and could not be" \
            "as root: apt-get install postgresql redis-server openjdk-17-jre-headless maven" "or start a Docker engine and set DBFERRY_SERVICES=docker"
    fi
    cosmium_up
    [ "${DBFERRY_SQLX:-}" != 1 ] || sqlx_install || say "sqlx's command line could not be installed (see $sqlx_folder/install.log): tests that compare with it will fail"
    chromium_install || say "Chromium is not here and could not be installed: tests of the page of a report will fail"
    environment
}

down() {
    take_lock
    if [ "$(mode)" = docker ]; then
        docker_answers && compose down >&2
    else
        postgres_down
        redis_down
        cassandra_down
    fi
    cosmium_down
    rm -f "$mode_file"
}

# One line, and whether the command behind it says that the service is up.
status_of() {
    local name=$1 port=$2 state=down code=1
    shift 2
    if "$@" >/dev/null 2>&1; then state=up code=0; fi
    printf '%-14s %-6s %-5s %s\n' "$name" "$port" "$state" "$(mode)"
    return "$code"
}

status() {
    local code=0 postgres=(postgres_is_up) redis=(redis_is_up) cluster=(redis_cluster_is_up) cql=(cassandra_is_up)
    if [ "$(mode)" = docker ]; then
        postgres=(compose exec -T postgres pg_isready -q -U "$postgres_user")
        redis=(compose exec -T redis redis-cli --user "$redis_user" --pass "$redis_password" -e ping)
        cluster=(compose exec -T redis-cluster sh /formed)
        cql=(cassandra_answers)
    fi
    status_of postgres "$postgres_port" "${postgres[@]}" || code=1
    status_of redis "$redis_port" "${redis[@]}" || code=1
    status_of redis-cluster "$redis_cluster_first" "${cluster[@]}" || code=1
    status_of cassandra "$cassandra_port" "${cql[@]}" || code=1
    # A program that tests start, no service.
    command -v chromium >/dev/null || printf '%-14s %-6s %-5s\n' chromium - missing
    [ -x "$sqlx_program" ] || printf '%-14s %-6s %-5s\n' sqlx - missing
    # Not needed by any test alone: its state does not decide the exit code.
    if cosmium_pid >/dev/null; then
        printf '%-14s %-6s %-5s %s\n' cosmium "$cosmium_port" up go
    else
        printf '%-14s %-6s %-5s %s\n' cosmium "$cosmium_port" out "$(cat "$cosmium_folder/refused" 2>/dev/null || echo 'not started')"
    fi
    return "$code"
}

case "${1:-}" in
    up) up ;;
    down) down ;;
    status) status ;;
    env) environment ;;
    dotenv) dotenv ;;
    pg-bin) pg_bin || fail "PostgreSQL's server programs are not installed" "scripts/services.sh up installs them" ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
