"""What the page's server does beside showing views."""
