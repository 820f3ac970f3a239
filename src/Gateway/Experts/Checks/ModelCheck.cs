using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks the folder of a model without running it. Runs in a child process, because the folder decides how much memory and time it takes.</summary>
internal static class ModelCheck
{
    private const long MaxTemplateLength = 1 << 18;

    /// <exception cref="EngineException">InvalidExpert or InvalidModelFolder, naming the file and the place.</exception>
    public static void Check(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(folder, "*.json"))
        {
            JsonCheck.Read(folder, Path.GetFileName(file)).Dispose();
        }

        GenAiConfig config = GenAiCheck.Check(folder);
        TokenizerCheck.Check(folder, config.VocabularySize);
        CheckTemplates(folder);
        foreach (string file in Directory.EnumerateFiles(folder, "*.safetensors"))
        {
            SafetensorsFile.Open(file).Dispose();
        }

        GraphCheck.Check(folder, config.Graph);
    }

    private static void CheckTemplates(string folder)
    {
        const string File = FileNames.ChatTemplate, Config = FileNames.TokenizerConfig;
        FileInfo template = new(Path.Combine(folder, File));
        if (template.Exists && template.Length > MaxTemplateLength)
        {
            throw UploadName.Refused(File, $"has {template.Length} bytes; accepted are at most {MaxTemplateLength}.");
        }

        if (System.IO.File.Exists(Path.Combine(folder, Config)))
        {
            using JsonDocument json = JsonCheck.Read(folder, Config);
            if (json.RootElement.TryGetProperty("chat_template", out JsonElement inConfig) && inConfig.GetRawText().Length > MaxTemplateLength)
            {
                throw UploadName.Refused(Config, $"has a chat_template of {inConfig.GetRawText().Length} characters; accepted are at most {MaxTemplateLength}.");
            }
        }
    }
}
