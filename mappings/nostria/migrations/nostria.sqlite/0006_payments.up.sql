create table payments (
    id text primary key not null,
    payment_type text not null,
    ln_hash text not null,
    ln_invoice text not null,
    ln_amount_sat integer not null,
    tier text not null,
    billing_cycle text not null,
    price_cents integer not null,
    is_paid boolean not null,
    paid bigint,
    expires bigint not null,
    pubkey text not null,
    created bigint not null,
    modified bigint not null
);

create index payments_pubkey on payments (pubkey);
