#!/bin/bash
# The same with a P-256 CA and an RSA key for the RA, which strongSwan 5.9.8 needs there.
exec bash "$(dirname "$0")/10-strongswan.sh" p256-rsa
