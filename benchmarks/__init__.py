"""Speed, measured against peers in the same run: `make bench` prints the tables of benchmarks/README.md."""
