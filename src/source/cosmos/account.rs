//! A client of an account: credential, connections and what the SDK may try again by itself.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{Secret, TokenCredential};
use azure_data_cosmos::options::{
    BinaryEncodingOptions, ConnectionPoolOptions, OperationOptionsBuilder, ServerCertificateValidation,
    ThrottlingRetryOptionsBuilder,
};
use azure_data_cosmos::{AccountEndpoint, AccountReference, CosmosClient, CosmosClientBuilder, CosmosRuntime, RoutingStrategy};
use secrecy::ExposeSecret as _;

use super::failure;
use crate::config::connection::{CosmosAccess, CosmosAccount, CosmosCredential};
use crate::config::tls;
use crate::{Error, ErrorKind, Result};

/// Times that the SDK waits by itself when it is throttled. Longer waits are ours, so that progress
/// shows them and a signal ends them.
const THROTTLED_MAX: u32 = 3;
/// Longest time that the SDK waits then.
const THROTTLED_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest time for one answer: a page of 4 MB over a slow line.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(65);

/// Connects. Whether the account answers is found out here, not with the first page.
///
/// # Errors
/// [`ErrorKind::Config`] for an endpoint or key that cannot be one; by status what the account says.
pub(super) async fn client(connection: &CosmosAccount) -> Result<CosmosClient> {
    tls::install_provider();
    let unfit = |what: &'static str| move |_| Error::new(ErrorKind::Config, what);
    let validation = if connection.accept_emulator_certificate {
        ServerCertificateValidation::RequiredUnlessEmulator
    } else {
        ServerCertificateValidation::Required
    };
    let pool = ConnectionPoolOptions::builder()
        .with_is_http2_allowed(connection.http2)
        .with_server_certificate_validation(validation)
        .with_max_dataplane_request_timeout(ANSWER_TIME_MAX)
        .build()
        .map_err(|error| failure::tell(&error, "preparing the connection"))?;
    let runtime = CosmosRuntime::builder()
        .with_connection_pool(pool)
        .build()
        .await
        .map_err(|error| failure::tell(&error, "preparing the connection"))?;
    let throttling = ThrottlingRetryOptionsBuilder::new()
        .with_max_retry_count(THROTTLED_MAX)
        .with_max_retry_wait_time(THROTTLED_TIME_MAX)
        .build();
    let endpoint: AccountEndpoint = connection.endpoint.parse().map_err(unfit(
        "the endpoint is no address such as `https://account.documents.azure.com:443/`",
    ))?;
    let account = match &connection.access {
        CosmosAccess::Key(key) => AccountReference::with_authentication_key(endpoint, Secret::new(key.expose_secret().to_owned())),
        CosmosAccess::Credential(whose) => AccountReference::with_credential(endpoint, token_credential(*whose)?),
    };
    CosmosClientBuilder::new()
        .with_runtime(runtime)
        .with_default_operation_options(
            OperationOptionsBuilder::new()
                .with_throttling_retry_options(throttling)
                .build(),
        )
        // Documents arrive as the service wrote them, digit by digit.
        .with_binary_encoding_options(BinaryEncodingOptions::new().with_enabled(false))
        .build(account, RoutingStrategy::PreferredRegions(Vec::new()))
        .await
        .map_err(|error| failure::tell(&error, "opening the account"))
}

fn token_credential(whose: CosmosCredential) -> Result<Arc<dyn TokenCredential>> {
    let unfit = |_| {
        Error::new(ErrorKind::Config, "the credential of Microsoft Entra cannot be made here")
            .hint("check the variables that it is made of, or give the connection a key")
    };
    Ok(match whose {
        CosmosCredential::ManagedIdentity => azure_identity::ManagedIdentityCredential::new(None).map_err(unfit)?,
        CosmosCredential::WorkloadIdentity => azure_identity::WorkloadIdentityCredential::new(None).map_err(unfit)?,
        CosmosCredential::Developer => azure_identity::DeveloperToolsCredential::new(None).map_err(unfit)?,
    })
}
