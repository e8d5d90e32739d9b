"""The Gradio page: build.py puts it together, views/ holds a file for each tab, server/ what runs behind them."""
