"""What leaves the house: the network as a graph, a run as a report, the count as a message to a hospital."""
