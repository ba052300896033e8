"""A local server that speaks every vendor's API as documented, fed by one shop's world whose truth is known."""
