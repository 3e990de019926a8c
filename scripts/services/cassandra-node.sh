#!/usr/bin/env bash
# Runs one Cassandra node in the foreground, as this very process: its pid is the node's.
#
#   scripts/services/cassandra-node.sh JARS FOLDER ADDRESS PORT STORAGE_PORT [SEED]
#
# JARS is where scripts/services.sh keeps Cassandra's libraries, FOLDER what belongs to the node: its
# configuration is written there anew, its data stays. It speaks CQL on ADDRESS:PORT and with other
# nodes on ADDRESS:STORAGE_PORT; SEED (ADDRESS:STORAGE_PORT of a node that runs) makes it join that one.
# Lines of FOLDER/settings.yaml stand in for those here that begin with the same key.
# DBFERRY_CASSANDRA_HEAP says how large its heap may grow.
set -euo pipefail

if [ "$#" -lt 5 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
jars=$1 folder=$(realpath -m "$2") address=$3 port=$4 storage_port=$5
seed=${6:-$address:$storage_port}
heap=${DBFERRY_CASSANDRA_HEAP:-512M}

mkdir -p "$folder"
cd "$folder"
touch settings.yaml

# Small caches and pools: many nodes share a machine with the tests. Timeouts are long, because they
# share its cores, too.
{
    awk 1 settings.yaml
    # A key that the settings have is left out here, with the lines that belong to it.
    awk 'FILENAME == "settings.yaml" { if (match($0, /^[a-z_]+:/)) given[substr($0, 1, RLENGTH)] = 1; next }
        match($0, /^[a-z_]+:/) { leave = (substr($0, 1, RLENGTH) in given) }
        /^commitlog_sync_period:/ && "commitlog_sync:" in given { leave = 1 }
        !leave' settings.yaml - <<CONF
cluster_name: dbferry
num_tokens: 4
allocate_tokens_for_local_replication_factor: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "$seed"
listen_address: $address
storage_port: $storage_port
rpc_address: $address
start_native_transport: true
native_transport_port: $port
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer
auto_snapshot: false
materialized_views_enabled: false
hinted_handoff_enabled: false
commitlog_sync: periodic
commitlog_sync_period: 10s
commitlog_total_space: 256MiB
memtable_heap_space: 96MiB
memtable_offheap_space: 96MiB
memtable_flush_writers: 1
concurrent_compactors: 1
concurrent_reads: 16
concurrent_writes: 16
file_cache_size: 32MiB
networking_cache_size: 16MiB
key_cache_size: 0MiB
counter_cache_size: 0MiB
column_index_cache_size: 2KiB
trickle_fsync: false
read_request_timeout: 10s
range_request_timeout: 20s
write_request_timeout: 10s
counter_write_request_timeout: 10s
cas_contention_timeout: 5s
truncate_request_timeout: 60s
request_timeout: 20s
CONF
} >cassandra.yaml

cat >logback.xml <<'CONF'
<configuration>
  <shutdownHook class="ch.qos.logback.core.hook.DefaultShutdownHook"/>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level [%thread] %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="out"/></root>
</configuration>
CONF

# What Cassandra reaches into the JDK for.
opens=()
for name in java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect \
    java.base/java.util java.base/jdk.internal.loader java.base/jdk.internal.math \
    java.base/jdk.internal.module java.base/jdk.internal.ref java.base/jdk.internal.reflect \
    java.base/jdk.internal.util.jar java.base/sun.nio.ch jdk.management/com.sun.management.internal; do
    opens+=(--add-opens "$name=ALL-UNNAMED")
done
for name in java.base/java.lang.ref java.base/jdk.internal.misc java.management.rmi/com.sun.jmx.remote.internal.rmi \
    java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql jdk.unsupported/sun.misc; do
    opens+=(--add-exports "$name=ALL-UNNAMED")
done

# Alone, it waits for nobody; beside others it listens for a while before it says which rows are its own.
wait=0
[ "$seed" = "$address:$storage_port" ] || wait=3000

exec "$jars/java" -Xms96M "-Xmx$heap" -Xss512k -XX:+UseSerialGC -XX:MaxDirectMemorySize=256M \
    -XX:+ExitOnOutOfMemoryError -XX:-UsePerfData -Djava.awt.headless=true -Djava.net.preferIPv4Stack=true \
    -Djdk.attach.allowAttachSelf=true -Dio.netty.tryReflectionSetAccessible=true "${opens[@]}" \
    -Dcassandra.config="file://$folder/cassandra.yaml" -Dcassandra.storagedir="$folder/data" \
    -Dlogback.configurationFile="$folder/logback.xml" -Dcassandra-foreground=yes \
    -Dcassandra.superuser_setup_delay_ms=0 -Dcassandra.auth_bcrypt_gensalt_log2_rounds=4 \
    -Dcassandra.ring_delay_ms="$wait" -Dcassandra.skip_wait_for_gossip_to_settle=0 \
    -Dcassandra.consistent.rangemovement=false -Dcassandra.memtable_row_overhead_computation_step=1000 \
    -cp "$jars/*" org.apache.cassandra.service.CassandraDaemon
