//! HTTP to other services: the keys of a token issuer, a collector of traces. It blocks.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

/// What asks at `url`, over TLS if that says so, and gives up after `deadline`. It trusts what the machine trusts now,
/// and follows no redirect: what is asked is the configured place.
pub(crate) fn agent(url: &Url, deadline: Duration) -> Agent {
    let is_https = url.scheme() == "https";
    let config = Agent::config_builder().https_only(is_https).max_redirects(0).timeout_global(Some(deadline));
    if !is_https {
        // What is asked without TLS is near, where no proxy of the environment leads.
        return config.proxy(None).build().new_agent();
    }
    let anchors = rustls_native_certs::load_native_certs().certs;
    let anchors = anchors.iter().map(|anchor| Certificate::from_der(anchor).to_owned());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(anchors))
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build();
    config.tls_config(tls).build().new_agent()
}
