"""What hosts are like against what they should be: one probe per host, compared with the plan."""
