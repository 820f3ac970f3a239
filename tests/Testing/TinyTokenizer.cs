using System.Text.Json;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing;

/// <summary>Writes small valid tokenizer files in Hugging Face's format.</summary>
public static class TinyTokenizer
{
    /// <summary>Special tokens, with ids 0 to 4. The first ends a text.</summary>
    public static readonly string[] Special = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"];

    /// <summary>Size of the smallest byte-level vocabulary: the special tokens and 256 bytes.</summary>
    public const int Size = 5 + 256;

    public const string ChatTemplate =
        "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";

    /// <summary>Writes a byte-level tokenizer.json and tokenizer_config.json. Tokens after the first <see cref="Size"/> are merged pairs of letters; their limit is 676.</summary>
    /// <param name="shift">Rotates the ids of the bytes, which makes another vocabulary of the same size.</param>
    public static void WriteByteLevel(string folder, int size = Size, int shift = 0)
    {
        List<string> words = Special.Concat(Enumerable.Range(0, 256).Select(b => ByteLevelAlphabet.Character((byte)((b + shift) % 256)).ToString())).ToList();
        (char, char)[] pairs = (from a in Enumerable.Range('a', 26) from b in Enumerable.Range('a', 26) select ((char)a, (char)b)).Take(size - words.Count).ToArray();
        words.AddRange(pairs.Select(p => $"{p.Item1}{p.Item2}"));
        Write(folder, new
        {
            version = "1.0",
            added_tokens = Special.Select((token, id) => Added(id, token)),
            pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
            decoder = new { type = "ByteLevel", add_prefix_space = true, trim_offsets = true, use_regex = true },
            model = new
            {
                type = "BPE",
                vocab = words.Select((word, id) => (word, id)).ToDictionary(w => w.word, w => w.id),
                merges = pairs.Select(p => $"{p.Item1} {p.Item2}"),
            },
        });
        WriteConfig(folder, null, Special[0], ChatTemplate);
    }

    /// <summary>Writes a SentencePiece-style tokenizer.json with byte fallback. Like Llama 2's, its post-processor adds &lt;s&gt; at the start.</summary>
    public static void WriteByteFallback(string folder)
    {
        string[] pieces = ["▁", "a", "b", "c", "h", "e", "l", "o", "▁h", "el", "lo", "▁a"];
        string[] words = ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), .. pieces];
        Write(folder, new
        {
            version = "1.0",
            added_tokens = words.Take(3).Select((token, id) => Added(id, token)),
            normalizer = new
            {
                type = "Sequence",
                normalizers = new object[] { new { type = "Prepend", prepend = "▁" }, new { type = "Replace", pattern = new { String = " " }, content = "▁" } },
            },
            post_processor = new
            {
                type = "TemplateProcessing",
                single = new object[] { new { SpecialToken = new { id = "<s>", type_id = 0 } }, new { Sequence = new { id = "A", type_id = 0 } } },
                pair = new object[] { new { Sequence = new { id = "A", type_id = 0 } }, new { Sequence = new { id = "B", type_id = 1 } } },
                special_tokens = new Dictionary<string, object> { ["<s>"] = new { id = "<s>", ids = new[] { 1 }, tokens = new[] { "<s>" } } },
            },
            decoder = new
            {
                type = "Sequence",
                decoders = new object[]
                {
                    new { type = "Replace", pattern = new { String = "▁" }, content = " " },
                    new { type = "ByteFallback" },
                    new { type = "Fuse" },
                    new { type = "Strip", content = " ", start = 1, stop = 0 },
                },
            },
            model = new
            {
                type = "BPE",
                unk_token = "<unk>",
                fuse_unk = true,
                byte_fallback = true,
                vocab = words.Select((word, id) => (word, id)).ToDictionary(w => w.word, w => w.id),
                merges = new[] { "▁ h", "e l", "l o", "▁ a" },
            },
        });
        WriteConfig(folder, "<s>", "</s>", "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}");
    }

    private static object Added(int id, string token) =>
        new { id, content = token, single_word = false, lstrip = false, rstrip = false, normalized = false, special = true };

    private static void Write(string folder, object tokenizer) =>
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), JsonSerializer.Serialize(tokenizer));

    private static void WriteConfig(string folder, string? bos, string eos, string template) => File.WriteAllText(
        Path.Combine(folder, "tokenizer_config.json"),
        JsonSerializer.Serialize(new { tokenizer_class = "PreTrainedTokenizerFast", bos_token = bos, eos_token = eos, chat_template = template }));
}
