"""One file for each view of the page. A view knows the `PageContext` and components, nothing of the server."""
