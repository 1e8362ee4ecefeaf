"""The console's pages, one file each: an address, and what is read for it.

A view's data is JSON: the page is made of it by a template of the same name, and programs get it as
it is. To add a page: a file here, its line in agent/console/site.py, a template.
"""
