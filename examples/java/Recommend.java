// Recommend with a file of a fixed number (python -m export hybrid --fixed-k=10) and the JSON beside it.
//
//     java Recommend hybrid.k10.onnx            checks the golden vectors
//     java Recommend hybrid.k10.onnx 1,50,260   a list for who had these items, oldest first
//
// Needs com.microsoft.onnxruntime:onnxruntime and com.fasterxml.jackson.core:jackson-databind. Not run by this
// project's tests, which hold its names of inputs and outputs against those of the files.

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

public class Recommend {
    static final OrtEnvironment ENVIRONMENT = OrtEnvironment.getEnvironment();

    record Lists(long[][] items, float[][] scores) {}

    public static void main(String[] words) throws Exception {
        JsonNode contract = new ObjectMapper().readTree(new File(words[0].replaceAll("\\.onnx$", ".contract.json")));
        double dropped = contract.get("dropped").get("score").asDouble();
        try (OrtSession session = ENVIRONMENT.createSession(words[0], new OrtSession.SessionOptions())) {
            if (words.length == 1) {
                check(session, contract.get("golden"), dropped);
                return;
            }
            Map<String, Long> index = new HashMap<>();
            for (JsonNode id : contract.get("item_ids")) index.put(id.asText(), index.size() + 1L);
            List<Long> known = new ArrayList<>();
            for (String id : words[1].split(",")) if (index.containsKey(id)) known.add(index.get(id));
            if (known.isEmpty() || contract.get("window").isNull()) {
                throw new IllegalArgumentException("no item of this history is known, or no window is taken");
            }
            if (contract.get("history").get("repeats").asText().equals("latest")) {
                Collections.reverse(known); // an item that comes again stands once, at its latest place
                known = new ArrayList<>(new LinkedHashSet<>(known));
                Collections.reverse(known);
            }
            int longest = contract.get("window").get("longest").asInt();
            List<Long> window = known.subList(Math.max(0, known.size() - longest), known.size());
            boolean again = contract.get("table_rules").path("seen").asText().equals("keep");
            List<Long> seen = again ? List.of(0L) : known; // padding: what was had may come again
            Map<String, OnnxTensor> feeds = new HashMap<>();
            for (JsonNode input : contract.get("inputs")) {
                String name = input.get("name").asText();
                List<Long> row = switch (name) {
                    case "window" -> window; // any length from 1 on, newest last
                    case "seen" -> seen;
                    case "levels" -> Collections.nCopies(window.size(), 0L);
                    default -> throw new IllegalArgumentException("this file also takes " + name);
                };
                feeds.put(name, tensor(row, 1, row.size()));
            }
            Lists found = lists(session, feeds);
            for (int rank = 0; rank < found.items()[0].length; rank++) {
                if (found.scores()[0][rank] <= dropped) continue;
                int place = (int) found.items()[0][rank] - 1;
                System.out.println(contract.get("item_ids").get(place).asText() + " " + found.scores()[0][rank]);
            }
        }
    }

    static void check(OrtSession session, JsonNode golden, double dropped) throws Exception {
        for (JsonNode wanted : golden.get("cases")) {
            Map<String, OnnxTensor> feeds = new HashMap<>();
            for (Map.Entry<String, JsonNode> input : wanted.get("inputs").properties()) {
                List<Long> values = new ArrayList<>();
                for (JsonNode value : input.getValue().get("values")) values.add(value.asLong());
                JsonNode shape = input.getValue().get("shape");
                long[] sizes = new long[shape.size()];
                for (int axis = 0; axis < sizes.length; axis++) sizes[axis] = shape.get(axis).asLong();
                feeds.put(input.getKey(), tensor(values, sizes));
            }
            Lists found = lists(session, feeds);
            for (int row = 0; row < found.items().length; row++) {
                for (int rank = 0; rank < found.items()[row].length; rank++) {
                    long item = wanted.get("items").get(row).get(rank).asLong();
                    double expected = wanted.get("scores").get(row).get(rank).asDouble();
                    float score = found.scores()[row][rank];
                    boolean nothing = item == 0 && score <= dropped;
                    boolean close = Math.abs(score - expected) <= golden.get("tolerance").asDouble();
                    boolean certain = wanted.get("certain").get(row).get(rank).asBoolean();
                    if (!(nothing || close) || (certain && found.items()[row][rank] != item)) {
                        throw new IllegalStateException("other lists than expected: " + wanted.get("name").asText());
                    }
                }
            }
        }
        System.out.println(golden.get("cases").size() + " cases give the expected lists");
    }

    static OnnxTensor tensor(List<Long> values, long... shape) throws Exception {
        LongBuffer buffer = LongBuffer.wrap(values.stream().mapToLong(Long::longValue).toArray());
        return OnnxTensor.createTensor(ENVIRONMENT, buffer, shape);
    }

    static Lists lists(OrtSession session, Map<String, OnnxTensor> feeds) throws Exception {
        try (OrtSession.Result result = session.run(feeds)) {
            long[][] items = (long[][]) result.get("items").orElseThrow().getValue();
            float[][] scores = (float[][]) result.get("scores").orElseThrow().getValue();
            return new Lists(items, scores);
        }
    }
}
