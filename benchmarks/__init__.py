"""The benchmark: this zoo beside a peer, on one machine and in one run."""
