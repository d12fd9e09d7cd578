"""The local stand-ins for Azure, and the local host: installed, started, found again, stopped.

stack            everything together, in the right order; what the command line uses
supervisor       one server on one data folder: the one still running, or a new one
data_folder      one folder per stack: its lock, its record of what runs, its keys
server           one process: started in a session of its own, recognised later, stopped by signal
azurite          Table and Blob Storage
azurite_install  ... from npm, with a Node from PyPI
service_bus      the Service Bus emulator
local_host       the Functions host
ports            free ones, and clear words for those in use
private_file     secrets and state, readable by their owner only
app_settings     the settings that make the app talk to these stand-ins
"""
