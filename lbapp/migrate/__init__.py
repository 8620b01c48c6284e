"""From the configurations of other load balancers to lbapp's."""
