"""A Service Bus for one machine: queues over AMQP 1.0 and the admin API, in pure Python, without Docker.

Read it from the wire inwards: `server` accepts sockets, `connection` and `session` speak frames (`frames`, `codec`),
`attach`, `links` and `consumers` move messages, `management` and `admin` answer requests, `broker` finds queues,
`queue` and `session_queue` decide, `journal` keeps.
"""
