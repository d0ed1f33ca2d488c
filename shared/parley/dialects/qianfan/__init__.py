"""What is said to Baidu Qianfan, and what it says (`upstreams/baidu-qianfan.md`). Pure.

v2.py        the API that resembles OpenAI's     refusals.py   what it means by its codes
legacy/      the API of access tokens            tokens.py     tokens that keys buy
signing.py   the signature of IAM keys (BCE v1)
"""
