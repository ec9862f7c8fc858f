//! A validator client: duties and signing, over the Beacon API.
