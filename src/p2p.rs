//! The network: transport, gossip, request/response, peers. Knows nothing of the chain.
