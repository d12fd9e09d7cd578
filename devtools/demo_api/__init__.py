"""A social API of our own, for the demo: Graph-like, paginated, rate limited and unreliable on purpose.

Everything follows from a seed, so what a perfect extraction would have written is known (`/truth`), and
`comparison` says what an output folder lacks, holds twice or should not hold. Start it with
`python -m devtools.demo_api --help`.

    users           who may call, with which token
    records         what one record looks like
    streams         the records of one user in one stream: their order, their pages, which were shown
    catalogue       all users and all streams of one server
    cursors         opaque, signed page positions
    envelopes       the JSON around a page
    graph_errors    the error bodies and statuses
    limits          requests per second, per user and for the app, and the headers that tell
    faults          which request goes wrong, and how
    fault_file      the same as a JSON file
    fault_responses what each fault looks like on the wire
    server          the HTTP server that ties these together
    stats           what was answered so far
    truth           what should be in the output
    comparison      what is in the output instead
    command_line    the options and their help
"""
