"""An application with a confidence rule of its own, as guides have it, on a model behind the guard: app.py SOCKET MODEL IMAGE...
An IMAGE is a JSON file with `shape` and `data`, the values in one flat list. One line of JSON for each image.
"""
import http.client
import json
import math
import socket
import sys


class Guard(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class Probabilities(list):
    def max(self):
        return max(self)


class Model:
    """What `model.predict` is in the rule below: one request to the guard, and a softmax over the scores of its answer."""

    def __init__(self, path, name):
        self.path, self.name = path, name
        self.said = {}

    def predict(self, image):
        guard = Guard(self.path)
        tensor = {"name": "image", "shape": image["shape"], "datatype": "FP32", "data": image["data"]}
        guard.request("POST", f"/v2/models/{self.name}/infer", json.dumps({"inputs": [tensor]}))
        answer = guard.getresponse()
        body = json.loads(answer.read())
        guard.close()
        if answer.status != 200:
            raise RuntimeError(body["error"])
        self.said = body["parameters"]
        scores = body["outputs"][0]["data"]
        parts = [math.exp(score - max(scores)) for score in scores]
        return Probabilities(part / sum(parts) for part in parts)


model = Model(sys.argv[1], sys.argv[2])
done = []


def flag_for_review(image, prediction):
    done.append("review")


def use_fallback_model(image):
    done.append("fallback")


for file in sys.argv[3:]:
    with open(file) as opened:
        image = json.load(opened)
    done.clear()
    # As guides have it.
    prediction = model.predict(image)
    confidence = prediction.max()
    if confidence < 0.85:
        # Low confidence — possible adversarial input
        flag_for_review(image, prediction)
        use_fallback_model(image)
    print(json.dumps({"confidence": confidence, "done": done, "guard": model.said.get("confidence")}))
