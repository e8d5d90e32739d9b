"""What runs behind the views: models, the API, limits of requests, deletion of uploads, the start."""
