//! Why there is no TLS with a client, in words for whoever runs the server.

use std::io;

use rustls::{AlertDescription, Error, PeerIncompatible};

/// What went wrong before a connection was secure.
pub(crate) fn of_handshake(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return "the client went away";
    };
    match error {
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => "the client does not trust the certificate",
        Error::AlertReceived(_) => "the client gave up",
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "the client speaks no TLS 1.2 or 1.3",
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => {
            "client and server have nothing in common"
        }
        _ => "what the client sent is no TLS",
    }
}
