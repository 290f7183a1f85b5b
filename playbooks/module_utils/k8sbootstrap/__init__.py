"""What modules do on hosts: standard library only, Python 3.9 and later."""
