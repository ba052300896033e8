"""`make report`: one HTML page of the marts for people who do marketing, in English and Japanese."""
