"""The `headframe` command.

app           the commands and their help; errors become one line and an exit status
mine          headframe mine
demo          headframe demo
start         headframe start and stop
users         headframe users
status        headframe status
runs          headframe runs
run_details   what it shows of a run
dead_letters  headframe dead-letters
connection    which tables a command talks to: those of a data folder, or those the settings name
init          headframe init; its parts are
  init_draft      what is written, and a template for each kind of part
  init_openapi    streams and authentication from an OpenAPI document
  init_paging     how its operations seem to be paged
preview       headframe preview; its parts are
  preview_user    the user, from options and a file
  preview_steps   fetching page after page
  preview_advice  what follows a failure, and where to look
  preview_view    showing it
  masking         without the credentials
session       what `mine` remembers to go on after it was killed
users_file    the JSON Lines of --users
watching      how far the runs are
queue_depth   what waits in the broker
progress      shows both while it happens
summary       what comes out in the end
terminal      standard output and standard error
"""

from devtools.cli.app import main

__all__ = ["main"]
