"""What is said to iFlytek Spark, and what it says (`upstreams/xunfei-spark.md`). Pure.

versions.py   the models of the WebSocket API: address, domain and abilities of each
signing.py    the signed address that opens a socket
told.py       the conversation as the socket takes it      pictures.py   the image that it is about
question.py   the one frame that asks          frames.py   the frames that answer
http.py       the HTTP API: its body, its answer
refusals.py   codes in frames and bodies, refused handshakes and requests
"""
