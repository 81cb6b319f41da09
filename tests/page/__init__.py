"""The page of the service, as people use it: in Chromium, against a service that runs."""
