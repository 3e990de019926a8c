# Cassandra for the tests, from Maven Central: sourced by scripts/services.sh.
# shellcheck shell=bash

# The newest 5.0 when this was written. Every library that it needs comes with it.
cassandra_version=${DBFERRY_CASSANDRA_VERSION:-5.0.9}
cassandra_host=127.0.0.1
cassandra_port=${DBFERRY_CASSANDRA_PORT:-59042}
# What nodes say to each other goes over this one.
cassandra_storage_port=${DBFERRY_CASSANDRA_STORAGE_PORT:-57900}
cassandra_user=dbferry
cassandra_password=dbferry
cassandra_folder=$scratch/cassandra
cassandra_node=$cassandra_folder/node
cassandra_log=$cassandra_node/server.log
cassandra_jars=$cassandra_folder/$cassandra_version

# --- what it takes -----------------------------------------------------------------------------

# A Java of a version that Cassandra 5 runs on: 17, or 11.
cassandra_java() {
    local program
    for program in "${JAVA_HOME:-/nowhere}/bin/java" java /usr/lib/jvm/*17*/bin/java /usr/lib/jvm/*11*/bin/java; do
        program=$(command -v "$program" 2>/dev/null) || continue
        case $("$program" -version 2>&1 | head -n 1) in
            *'"17'* | *'"11'*)
                echo "$program"
                return 0
                ;;
        esac
    done
    return 1
}

cassandra_programs() {
    cassandra_java >/dev/null && { [ -f "$cassandra_jars/complete" ] || command -v mvn >/dev/null; } && return 0
    command -v apt-get >/dev/null || return 1
    say "installing a Java runtime and Maven (apt-get install openjdk-17-jre-headless maven)"
    apt update || say "apt-get update failed; going on with the package lists that are there"
    apt install --no-install-recommends openjdk-17-jre-headless maven || return 1
    cassandra_java >/dev/null && command -v mvn >/dev/null
}

# Cassandra's libraries and the Java that runs them in one folder, which is there whole or not at all.
cassandra_install() {
    cassandra_programs || return 1
    if [ -f "$cassandra_jars/complete" ]; then
        ln -sfn "$(cassandra_java)" "$cassandra_jars/java"
        return 0
    fi
    local work=$cassandra_folder/download attempt
    say "downloading Cassandra $cassandra_version and its libraries from Maven Central (70 MB)"
    mkdir -p "$work"
    cat >"$work/pom.xml" <<CONF
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dbferry</groupId>
  <artifactId>cassandra-of-the-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>$cassandra_version</version>
    </dependency>
  </dependencies>
</project>
CONF
    for attempt in 1 2 3; do
        rm -rf "$work/jars"
        # What was downloaded before is not asked for again: Maven's own store stays until all is there.
        if (cd "$work" && JAVA_HOME=$(cassandra_home) timeout 600 mvn -q -B -Dstyle.color=never \
            -Dmaven.repo.local="$work/store" dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$work/jars") >"$cassandra_folder/download.log" 2>&1 9>&- </dev/null &&
            ls "$work/jars/cassandra-all-$cassandra_version.jar" >/dev/null 2>&1; then
            rm -rf "$cassandra_jars"
            mv "$work/jars" "$cassandra_jars"
            ln -sfn "$(cassandra_java)" "$cassandra_jars/java"
            touch "$cassandra_jars/complete"
            rm -rf "$work"
            return 0
        fi
        say "the download did not succeed (attempt $attempt of 3): $(grep -m 1 ERROR "$cassandra_folder/download.log" | cut -c 1-300)"
        sleep $((attempt * 3))
    done
    say "see $cassandra_folder/download.log"
    return 1
}

# The folder of that Java, so that Maven takes no other.
cassandra_home() { realpath "$(cassandra_java)" | sed 's,/bin/java$,,'; }

# --- as much of the CQL protocol as is needed to make a user --------------------------------------

# Bytes of a text, as hexadecimal digits.
cql_hex() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }

# Sends a frame (operation, body in hexadecimal digits) over descriptor 3.
cql_send() {
    local digits
    digits=$(printf '04000000%s%08x%s' "0$1" $((${#2} / 2)) "$2")
    # shellcheck disable=SC2059 # the format is made of the bytes alone
    printf "$(sed 's/../\\x&/g' <<<"$digits")" >&3
}

# Reads a frame from descriptor 3 into cql_operation and cql_body (hexadecimal digits).
cql_receive() {
    local head
    head=$(timeout 30 head -c 9 <&3 | od -An -v -tx1 | tr -d ' \n')
    [ "${#head}" = 18 ] || return 1
    cql_operation=${head:8:2}
    cql_body=$(timeout 30 head -c $((16#${head:10:8})) <&3 | od -An -v -tx1 | tr -d ' \n')
}

# Runs statements one after the other as a user. 0: done; 1: not reached, or refused; 2: wrong password.
cql_ask() (
    user=$1 password=$2
    shift 2
    exec 3<>"/dev/tcp/$cassandra_host/$cassandra_port" || exit 1
    # STARTUP, a map with one entry.
    cql_send 1 "0001000b$(cql_hex CQL_VERSION)0005$(cql_hex 3.0.0)"
    cql_receive || exit 1
    if [ "$cql_operation" = 03 ]; then
        token=00$(cql_hex "$user")00$(cql_hex "$password")
        cql_send f "$(printf '%08x' $((${#token} / 2)))$token"
        cql_receive || exit 1
        # The error of bad credentials has the number 0x0100.
        case $cql_operation$cql_body in
            10*) ;;
            0000000100*) exit 2 ;;
            *) exit 1 ;;
        esac
    elif [ "$cql_operation" != 02 ]; then
        exit 1
    fi
    for statement in "$@"; do
        text=$(cql_hex "$statement")
        # QUERY with consistency ONE and no flags.
        cql_send 7 "$(printf '%08x' $((${#text} / 2)))${text}000100"
        cql_receive && [ "$cql_operation" = 08 ] || exit 1
    done
) 2>/dev/null

# --- the node ------------------------------------------------------------------------------------

# The node that works in our folder: what a pid file says may be somebody else's by now.
cassandra_pid() {
    local pid
    pid=$(cat "$cassandra_node/pid" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ ]] || return 1
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(readlink -f "$cassandra_node")" ] || return 1
    echo "$pid"
}

cassandra_answers() {
    cql_ask "$cassandra_user" "$cassandra_password" 'SELECT release_version FROM system.local'
}

cassandra_is_up() { cassandra_pid >/dev/null && cassandra_answers; }

# Starts the node and does not wait for it.
cassandra_begin() {
    cassandra_pid >/dev/null && return 0
    local port
    for port in "$cassandra_port" "$cassandra_storage_port"; do
        if port_open "$port"; then
            fail "port $port on $cassandra_host is taken by another program" \
                "find it with: ss -ltnp 'sport = :$port'" \
                "or choose others: DBFERRY_CASSANDRA_PORT=59043 DBFERRY_CASSANDRA_STORAGE_PORT=57901 scripts/services.sh up"
        fi
    done
    say "starting Cassandra on $cassandra_host:$cassandra_port"
    mkdir -p "$cassandra_node"
    cat >"$cassandra_node/settings.yaml" <<CONF
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
CONF
    # The lock of this script must not live on in the server: descriptor 9 is closed for it.
    setsid "$repository/scripts/services/cassandra-node.sh" "$cassandra_jars" "$cassandra_node" \
        "$cassandra_host" "$cassandra_port" "$cassandra_storage_port" >"$cassandra_log" 2>&1 9>&- </dev/null &
    echo $! >"$cassandra_node/pid"
}

# Waits until our user can log in; makes that user of the one that a new node has, who is dropped.
cassandra_wait() {
    local attempt code
    for attempt in $(seq 1 300); do
        code=0
        cassandra_answers || code=$?
        [ "$code" = 0 ] && return 0
        if [ "$code" = 2 ]; then
            cql_ask cassandra cassandra \
                "CREATE ROLE IF NOT EXISTS $cassandra_user WITH PASSWORD = '$cassandra_password' AND SUPERUSER = true AND LOGIN = true" &&
                cql_ask "$cassandra_user" "$cassandra_password" 'DROP ROLE IF EXISTS cassandra' && return 0
        fi
        # Its first moments are those of the script that becomes it.
        [ "$attempt" -lt 20 ] || cassandra_pid >/dev/null || return 1
        sleep 0.4
    done
    return 1
}

# A node that was killed reads its log again; one that ends because its files broke is made afresh.
cassandra_up() {
    cassandra_is_up && return 0
    cassandra_begin
    cassandra_wait && return 0
    if cassandra_pid >/dev/null; then
        fail "Cassandra runs (pid $(cassandra_pid)) but does not let user $cassandra_user in on port $cassandra_port" \
            "see $cassandra_log" "or start afresh: scripts/services.sh down; rm -r $cassandra_node"
    fi
    say "Cassandra does not come up: $(grep -E ' ERROR |^Exception|^java.lang.OutOfMemory' "$cassandra_log" | tail -n 1 | cut -c 1-300)"
    if [ -d "$cassandra_node/data" ]; then
        say "making its node afresh; the old log is $cassandra_folder/broken.log"
        cp "$cassandra_log" "$cassandra_folder/broken.log"
        rm -rf "$cassandra_node"
        cassandra_begin
        cassandra_wait && return 0
    fi
    fail "Cassandra did not start" "see $cassandra_log" \
        "or start afresh: scripts/services.sh down; rm -r $cassandra_node"
}

cassandra_down() {
    local pid signal _
    cassandra_pid >/dev/null && say "stopping Cassandra"
    for signal in TERM KILL; do
        pid=$(cassandra_pid) || return 0
        kill "-$signal" "$pid" 2>/dev/null || return 0
        for _ in $(seq 1 100); do
            cassandra_pid >/dev/null || return 0
            sleep 0.1
        done
    done
}
