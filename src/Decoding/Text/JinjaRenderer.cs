using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Microsoft.ML.OnnxRuntimeGenAI;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using GenAITokenizer = Microsoft.ML.OnnxRuntimeGenAI.Tokenizer;

namespace ProxyTune.Decoding.Text;

/// <summary>Jinja by onnxruntime-genai, which offers it as a method of its tokenizer.</summary>
/// <remarks>
/// That tokenizer is used for nothing else, so it reads a folder with a vocabulary of two words, not a model's. There is one for each pair
/// of begin and end tokens and it lives as long as the process. It must never be given a folder that it could refuse: after a failed
/// constructor the finaliser ends the process (0.18.0).
/// </remarks>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "Lives as long as the process.")]
internal sealed class JinjaRenderer
{
    private const string Vocabulary =
        """{"version":"1.0","added_tokens":[],"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}""";

    private const string Configuration =
        """{"model":{"type":"llama","vocab_size":2,"context_length":1,"bos_token_id":0,"eos_token_id":1,"pad_token_id":1,"decoder":{"filename":"none"}},"search":{}}""";

    private static readonly ConcurrentDictionary<(string Bos, string Eos), Lazy<JinjaRenderer>> Renderers = new();

    private readonly Lock oneAtATime = new();
    private readonly GenAITokenizer native;

    private JinjaRenderer(string bos, string eos)
    {
        string folder = Directory.CreateTempSubdirectory("proxytune-template-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "tokenizer.json"), Vocabulary);
            File.WriteAllText(Path.Combine(folder, GenAiConfig.FileName), Configuration);
            File.WriteAllText(
                Path.Combine(folder, "tokenizer_config.json"),
                JsonSerializer.Serialize(new { bos_token = bos, eos_token = eos, tokenizer_class = "LlamaTokenizer" }));
            OnnxEnvironment.EnsureCreated();
            native = new GenAITokenizer(folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    public static JinjaRenderer For(string bos, string eos) =>
        Renderers.GetOrAdd((bos, eos), key => new Lazy<JinjaRenderer>(() => new JinjaRenderer(key.Bos, key.Eos))).Value;

    public string Render(string template, string messages, bool addGenerationPrompt)
    {
        // An empty template would mean the tokenizer's own.
        if (template.Length == 0)
        {
            return "";
        }

        try
        {
            // Nothing says that the native object may be shared; a rendering takes some 100 microseconds.
            lock (oneAtATime)
            {
                return native.ApplyChatTemplate(template, messages, "", addGenerationPrompt);
            }
        }
        catch (OnnxRuntimeGenAIException error)
        {
            // Behind the first line's " at row" comes the template's text, several times.
            string reason = error.Message.Split('\n')[0].Split(" at row ")[0];
            throw new EngineException(EngineError.InvalidValue, $"The chat template refuses the messages: {reason}", "messages", error);
        }
    }
}
