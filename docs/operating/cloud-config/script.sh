#!/bin/sh
# A program in the place of a cloud-config: it runs as root at each start, in a unit of its own.
# Change everything; what a file or a unit can say is better said in a cloud-config, which is checked before.
set -eu
mkdir -p /var/lib/site
date >>/var/lib/site/starts
