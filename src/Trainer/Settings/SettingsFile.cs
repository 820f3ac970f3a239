using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;

namespace ProxyTune.Trainer.Settings;

/// <summary>Reads a run's settings: a JSON file with snake_case names, comments allowed, unknown names refused.</summary>
public static class SettingsFile
{
    internal static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        WriteIndented = true,
        Converters = { new FreshModel() },
    };

    /// <exception cref="TrainingException">Names file, field, value and accepted range.</exception>
    public static T Load<T>(string path)
        where T : IRunSettings
    {
        try
        {
            T settings = JsonSerializer.Deserialize<T>(File.ReadAllText(path), Json) ?? throw new TrainingException($"{path}: is null.");
            settings.Check(new SettingsCheck(path));
            return settings;
        }
        catch (JsonException error)
        {
            throw new TrainingException($"{path}: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or EngineException)
        {
            throw new TrainingException($"{path}: {error.Message}", error);
        }
    }

    internal static JsonNode ToNode<T>(T settings) => JsonSerializer.SerializeToNode(settings, Json)!;
}

/// <summary>What a recipe runs with.</summary>
public interface IRunSettings
{
    /// <summary>Throws at the first field that no run can use.</summary>
    void Check(SettingsCheck check);
}
