//! What a Postgres source and a Postgres sink share: connecting, catalog, quoting, COPY codec.
