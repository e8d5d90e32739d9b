"""The page: web/ runs in the browser, server/ answers it, texts/ holds its words."""
