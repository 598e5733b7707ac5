"""Asks SavedModels in a process that knows no Python TensorFlow.

    python -m tests.saved_model_client < questions > answers

Both streams are pickles, one for each model. A question is `(folder, requests)`, a
request `(feeds, fetches)`: arrays by tensor name, and tensor names. The answer is a
list: of each request the list of fetched arrays, or the error message.
"""

import pickle
import sys

from recipes.server.saved_model import SavedModel, TensorFlowError


def main() -> None:
    while sys.stdin.buffer.peek(1):
        folder, requests = pickle.load(sys.stdin.buffer)
        model, answers = SavedModel(folder), []
        for feeds, fetches in requests:
            try:
                answers.append(model.run(feeds, fetches))
            except TensorFlowError as error:
                answers.append(str(error))
        model.close()
        assert not {"tensorflow", "keras", "zoo"} & set(sys.modules)
        pickle.dump(answers, sys.stdout.buffer)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
