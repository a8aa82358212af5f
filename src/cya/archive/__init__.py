"""The archive's side, one step a file: serve, take, freeze, plan, link, commit. It trusts no client and has no key."""
