namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// How a text is split before byte-level BPE, by the name in <c>tokenizer.ggml.pre</c>. The names and the order of the steps are those of llama.cpp
/// (src/llama-vocab.cpp); the patterns are those of the models' own tokenizer.json, which llama.cpp adapts to its regular expressions.
/// </summary>
/// <param name="Patterns">Each splits what the one before it left whole; matches and what lies between them are pieces.</param>
/// <param name="IgnoreMerges">Whether a piece that is a token is taken as it is.</param>
/// <param name="AddsBegin">Whether a text begins with the token for it where the file does not say.</param>
internal sealed record GgufPreTokenizer(IReadOnlyList<string> Patterns, bool IgnoreMerges = false, bool AddsBegin = false)
{
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private const string Spaces = @"\s+(?!\S)|\s+";
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|" + Spaces;

    // Words with an optional character before them; digits, marks and line ends follow.
    private const string Word = @"[^\r\n\p{L}\p{N}]?\p{L}+";
    private const string Marks = @" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+";
    private const string MarksOrSlash = @" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+";
    private const string Upper = @"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", Lower = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";

    private const string Llama3 = Contractions + "|" + Word + @"|\p{N}{1,3}|" + Marks + "|" + Spaces;
    private const string Qwen2 = Contractions + "|" + Word + @"|\p{N}|" + Marks + "|" + Spaces;

    private static readonly Dictionary<string, GgufPreTokenizer> All = Table(
        (new([Gpt2]), ["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "gigachat", "a.x-4.0", "mellum"]),
        (new([@"\p{N}", Gpt2]), ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"]),
        (new([Llama3], IgnoreMerges: true, AddsBegin: true), ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"]),
        (new([Llama3]), ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"]),
        (new([Qwen2]), ["qwen2", "deepseek-r1-qwen", "megrez", "kormo", "stablelm2", "hunyuan", "solar-open", "grok-2"]),
        (new([Contractions + @"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|" + Spaces]), ["qwen35"]),
        (new([@"\p{N}{1,3}", Llama3.Replace(@"\p{N}{1,3}", @"\p{N}+", StringComparison.Ordinal)], IgnoreMerges: true), ["minicpm5"]),
        (new([Contractions + "|" + Word + @"|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|" + Spaces]), ["seed-coder"]),
        (new([@"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|" + Spaces]), ["bailingmoe", "bailingmoe2", "llada-moe"]),
        (new(
        [
            $@"[^\r\n\p{{L}}\p{{N}}]?{Upper}*{Lower}+{Contractions}?|[^\r\n\p{{L}}\p{{N}}]?{Upper}+{Lower}*{Contractions}?|\p{{N}}{{1,3}}|{MarksOrSlash}|{Spaces}",
        ]), ["gpt-4o", "llama4", "kanana2"]),
        (new([$@"[^\r\n\p{{L}}\p{{N}}]?{Upper}*{Lower}+|[^\r\n\p{{L}}\p{{N}}]?{Upper}+{Lower}*|\p{{N}}|{MarksOrSlash}|{Spaces}"], IgnoreMerges: true, AddsBegin: true), ["tekken"]),
        (new(
        [
            @"\p{N}{1,3}",
            "[一-龥\u3040-ゟ゠-ヿ]+",
            """[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|""" + Spaces,
        ]), ["deepseek-v3", "hunyuan-dense", "joyai-llm"]),
        (new([@"[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", "[一-龥\u0800-一가-\ud7ff]+", @"\p{N}"]), ["deepseek-coder"]),
        (new([@"[\p{P}\$\+<=>\^~\|`]+", Gpt2, "[0-9][0-9][0-9]"]), ["falcon"]),
        (new([@"[\p{P}\$\+<=>\^~\|]+", Gpt2, @"\p{N}+", "[0-9][0-9][0-9]"]), ["default"]));

    public static IEnumerable<string> Names => All.Keys.Order(StringComparer.Ordinal);

    public static GgufPreTokenizer? Find(string name) => All.GetValueOrDefault(name);

    private static Dictionary<string, GgufPreTokenizer> Table(params (GgufPreTokenizer PreTokenizer, string[] Names)[] rows) =>
        rows.SelectMany(row => row.Names.Select(name => (name, row.PreTokenizer))).ToDictionary(entry => entry.name, entry => entry.PreTokenizer);
}
