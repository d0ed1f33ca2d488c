"""The platform's errors, by code, and the shapes in which they come."""

from __future__ import annotations

import json
from typing import Any

Params = dict[str, Any]

# code: status, message (zhipu.md, section 3)
CODES: dict[str, tuple[int, str]] = {
    "1000": (401, "身份验证失败"),
    "1001": (401, "Header中未收到Authorization参数,无法进行身份验证"),
    "1002": (401, "Authorization Token非法,请确认Authorization Token正确传递"),
    "1003": (401, "Authorization Token已过期,请重新生成/获取"),
    "1004": (401, "通过提供的Authorization Token的验证失败"),
    "1005": (401, "身份验证失败"),
    "1110": (429, "您的账户当前处于非活动状态,请检查账户信息"),
    "1111": (429, "您的账户不存在"),
    "1112": (429, "您的账户已被锁定,请联系客服解锁"),
    "1113": (429, "您的账户已欠费,请充值后重试"),
    "1120": (429, "无法成功访问您的账户,请稍后重试"),
    "1121": (429, "您的账户存在违规行为,已被锁定"),
    "1200": (500, "API调用失败"),
    "1210": (400, "API调用参数有误,请检查文档"),
    "1211": (400, "模型不存在,请检查模型代码"),
    "1212": (400, "当前模型不支持该调用方式"),
    "1213": (400, "未正常接收到参数"),
    "1214": (400, "参数非法,请检查文档"),
    "1215": (400, "参数不能同时设置,请检查文档"),
    "1220": (403, "您无权访问该API"),
    "1221": (404, "API已下线"),
    "1222": (404, "API不存在"),
    "1230": (500, "API调用流程出错"),
    "1231": (400, "您已有请求"),
    "1234": (500, "网络错误,错误id:1,请联系客服"),
    "1261": (400, "Prompt 超长"),
    "1300": (400, "API调用被策略阻止"),
    "1301": (400, "系统检测到输入或生成内容可能包含不安全或敏感内容,请您避免输入易产生敏感内容的提示语,感谢您的配合"),
    "1302": (429, "您当前使用该API的并发数过高,请降低并发,或联系客服增加限额"),
    "1303": (429, "您当前使用该API的频率过高,请降低频率,或联系客服增加限额"),
    "1304": (429, "该API已达今日调用次数限额,如有更多需要,请联系客服购买"),
    "1305": (429, "当前API请求过多,请稍后重试"),
    "1308": (429, "已达到 5 小时的使用上限。您的限额将在 2025-01-01 13:30:00 重置。"),
    "1309": (429, "您的GLM Coding Plan套餐已到期"),
    "1310": (429, "已达到每周使用上限"),
    "1311": (403, "您的套餐不包含该模型"),
    "1312": (429, "该模型当前访问量过大,请您稍后再试"),
    "1313": (429, "您的账户当前使用模式不符合公平使用政策"),
}


class Refused(Exception):
    """The answer to this request is an error."""

    def __init__(self, code: str, params: Params | None = None, *, says: str | None = None):
        super().__init__(code)
        params = params or {}
        status, message = CODES.get(code, (400, ""))
        self.code = code
        self.status = int(params.get("status", status))
        self.told_status = "status" in params
        self.message = params.get("message", says or message)
        self.shape = params.get("shape")
        self.headers = {name: str(value) for name, value in params.get("headers", {}).items()}
        if "retry_after" in params:
            self.headers["Retry-After"] = str(params["retry_after"])

    def answer(self, *, v3: bool) -> tuple[int, bytes]:
        """Status and body: v3 answers 200 to everything, unless it was told otherwise."""
        if (self.shape or ("front" if v3 else "error")) == "front":
            said: Any = {"code": int(self.code), "msg": self.message, "success": False}
        else:
            said = {"error": {"code": self.code, "message": self.message}}
            if self.code == "1301":
                said = {"contentFilter": [{"level": 1, "role": "user"}], **said}
        status = 200 if v3 and not self.told_status else self.status
        return status, json.dumps(said, ensure_ascii=False).encode()


class Front(Exception):
    """The front answers, and not the platform behind it."""

    def __init__(self, status: int, said: Any):
        super().__init__(status)
        self.status = status
        self.said = said


def spring_404(path: str) -> Front:
    """What lives nowhere."""
    return Front(404, {"timestamp": "2025-01-01T04:00:00.000+00:00", "status": 404, "error": "Not Found", "path": path})


FRONTS: dict[str, Front] = {
    "front_401": Front(401, {"code": 401, "msg": "令牌已过期或验证不正确", "success": False}),
    "front_500": Front(500, {"code": 500, "msg": "404 NOT_FOUND", "success": False}),
    "spring_404": spring_404("/api/paas/v4/v1/chat/completions"),
    "too_large": Front(435, {"code": 435, "msg": "文件过大", "success": False}),
}
