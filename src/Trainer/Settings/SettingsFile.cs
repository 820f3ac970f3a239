using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Trainer.Settings;

/// <summary>Reads a run's settings from a JSON file with snake_case names. Comments are allowed, unknown names are refused.</summary>
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
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        Converters = { new FreshModel() },
    };

    /// <exception cref="TrainingException">A setting is wrong. The message names file, field, value and accepted range.</exception>
    public static T Load<T>(string path)
        where T : class, IRunSettings
    {
        try
        {
            T settings = JsonFile.Read(path, (JsonTypeInfo<T>)Json.GetTypeInfo(typeof(T)));
            settings.Check(new SettingsCheck(path));
            return settings;
        }
        catch (EngineException error)
        {
            // A converter's message names the field, but not the file.
            throw new TrainingException(error.Field == path ? error.Message : $"{path}: {error.Message}", error);
        }
    }

    internal static JsonNode ToNode<T>(T settings) => JsonSerializer.SerializeToNode(settings, Json)!;
}

/// <summary>The settings of a recipe.</summary>
public interface IRunSettings
{
    /// <summary>Throws at the first field with a wrong value.</summary>
    void Check(SettingsCheck check);
}
